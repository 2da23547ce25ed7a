# Installs the attention library for other programs: headers, the static library, a CMake package, as component
# `attention`.
# Its headers include each other and, of core, those named here; of core's sources it needs none.
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/flashblock_attention)
file(RELATIVE_PATH FLASHBLOCK_PREFIX_FROM_CONFIG /prefix/${package_folder} /prefix)
find_file(TORCH_VERSION_HEADER torch/headeronly/version.h HINTS ${Torch_DIR}/../../../include REQUIRED)
file(STRINGS ${TORCH_VERSION_HEADER} FLASHBLOCK_TORCH_VERSION REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
list(TRANSFORM FLASHBLOCK_TORCH_VERSION REPLACE "[^0-9]" "")
list(JOIN FLASHBLOCK_TORCH_VERSION . FLASHBLOCK_TORCH_VERSION)
string(REGEX MATCH "^[0-9]+" FLASHBLOCK_CUDA_MAJOR "${CMAKE_CUDA_COMPILER_VERSION}")
configure_file(${CMAKE_SOURCE_DIR}/cmake/flashblock_attention-config.cmake.in
               ${CMAKE_BINARY_DIR}/flashblock_attention-config.cmake @ONLY)
include(CMakePackageConfigHelpers)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/flashblock_attention-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)

set(headers ${CMAKE_INSTALL_INCLUDEDIR}/flashblock)
install(TARGETS flashblock_attention ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT attention)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/attention DESTINATION ${headers} COMPONENT attention FILES_MATCHING
        PATTERN "*.h" PATTERN cuda_launch.h EXCLUDE PATTERN kernels EXCLUDE)
install(FILES ${CMAKE_SOURCE_DIR}/core/check.h ${CMAKE_SOURCE_DIR}/core/error.h ${CMAKE_SOURCE_DIR}/core/work_scopes.h
        DESTINATION ${headers}/core COMPONENT attention)
install(FILES ${CMAKE_BINARY_DIR}/flashblock_attention-config.cmake
              ${CMAKE_BINARY_DIR}/flashblock_attention-config-version.cmake
        DESTINATION ${package_folder} COMPONENT attention)
