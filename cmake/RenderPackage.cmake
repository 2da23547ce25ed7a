# Installs the render library for other programs, as component `render` on top of component `attention`: the static
# libraries of its rank and below with their headers, and a CMake package.
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/flashblock_render)
file(RELATIVE_PATH FLASHBLOCK_PREFIX_FROM_CONFIG /prefix/${package_folder} /prefix)
configure_file(${CMAKE_SOURCE_DIR}/cmake/flashblock_render-config.cmake.in
               ${CMAKE_BINARY_DIR}/flashblock_render-config.cmake @ONLY)
include(CMakePackageConfigHelpers)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/flashblock_render-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)

foreach(folder render settings pipeline language models vae media weights core)
  install(TARGETS flashblock_${folder} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT render)
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/flashblock COMPONENT render
          FILES_MATCHING PATTERN "*.h" PATTERN kernels EXCLUDE)
endforeach()
install(FILES ${CMAKE_BINARY_DIR}/flashblock_render-config.cmake
              ${CMAKE_BINARY_DIR}/flashblock_render-config-version.cmake
        DESTINATION ${package_folder} COMPONENT render)
