# flashblock_add_library(<folder> SOURCES ... [CUDA_SOURCES ...] [CUDA_TOGETHER ...] LINK ...): the static library
#   flashblock_<folder>. CUDA_TOGETHER are small kernels, compiled as one source: nearly all that each takes, 16 s of
#   processor time, is spent on CUDA's headers, which are read once per architecture.
# flashblock_add_test(<folder> SOURCES ... [LINK ...] [SUITES | EACH]): the test program <folder>_tests, whose tests are
#   registered with CTest together, with SUITES by suite, with EACH one by one (discover_tests.cmake.in).

set(flashblock_warnings -Wall -Wextra -Wno-missing-field-initializers)
if(FLASHBLOCK_WARNINGS_AS_ERRORS)
  list(APPEND flashblock_warnings -Werror -Wno-error=invalid-pch)
  if(FLASHBLOCK_SANITIZE)  # GCC 12 with sanitizers takes initialised variables for uninitialised ones (GCC bug 105593)
    list(APPEND flashblock_warnings -Wno-error=maybe-uninitialized)
  endif()
endif()

# The sanitizers of a source: UndefinedBehaviorSanitizer doubles the compile time; it checks the folders that read
# weights and compute, not flashblock_quick_folders and tests.
set(flashblock_sanitizers ${FLASHBLOCK_SANITIZE})
string(REPLACE ",undefined" "" flashblock_light_sanitizers "${FLASHBLOCK_SANITIZE}")

# flashblock_uses_regex(<source>...): where a sanitizer is on, GCC 12 takes parts of its own std::regex for
# uninitialized.
function(flashblock_uses_regex)
  if(FLASHBLOCK_SANITIZE)
    foreach(source ${ARGN})
      flashblock_own_options(${source} -Wno-maybe-uninitialized)
    endforeach()
  endif()
endfunction()

# The headers of LibTorch's tensor and of the standard library, compiled once for the program and once for the tests. A
# larger header does not belong here: what its inline functions use is instantiated again in each source (LibTorch's
# operators cost every source 2 s, nlohmann/json 1 s, more than most sources gain).
function(flashblock_add_precompiled name link)
  if(NOT FLASHBLOCK_PRECOMPILED_HEADERS)
    return()
  endif()
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/${name}.cpp CONTENT "")  # not WRITE, which makes it new at every start
  add_library(${name} OBJECT EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/${name}.cpp)
  target_link_libraries(${name} PUBLIC ${link})
  target_precompile_headers(${name} PRIVATE <ATen/core/Tensor.h> <algorithm> <cstdint> <filesystem> <functional>
                            <map> <memory> <optional> <sstream> <string> <vector> ${ARGN})
  flashblock_settings(${name})
endfunction()

function(flashblock_use_precompiled target name)
  if(FLASHBLOCK_PRECOMPILED_HEADERS)
    target_precompile_headers(${target} REUSE_FROM ${name})
  endif()
endfunction()

# A source with compiler options of its own is compiled by itself and without precompiled headers.
# flashblock_own_options(<source> <option>...)
function(flashblock_own_options source)
  set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${ARGN}" SKIP_PRECOMPILE_HEADERS ON)
endfunction()

# flashblock_compile_alone(<source>...): tests with helpers that are named like those of another test of the folder.
function(flashblock_compile_alone)
  set_source_files_properties(${ARGN} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()

function(flashblock_settings target)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}>)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:${flashblock_warnings}>)
  if(FLASHBLOCK_SANITIZE)
    # Not what AddressSanitizer stops at as well, or what no object here can be: a sixth of the compile time.
    set(options -fsanitize=${flashblock_sanitizers} -fno-sanitize=null,object-size,vptr -fno-omit-frame-pointer
                -fno-sanitize-recover=undefined)
    target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:${options}>")
    target_link_options(${target} PUBLIC -fsanitize=${FLASHBLOCK_SANITIZE})
  endif()
endfunction()

# Folders that hold no loop over pixels or tensor elements: -O1 saves a third of the compile time.
set(flashblock_quick_folders settings render batch server app)
function(flashblock_optimize_less target)
  target_compile_options(${target} PRIVATE $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CONFIG:Release,RelWithDebInfo>>:-O1>)
endfunction()

function(flashblock_add_library folder)
  cmake_parse_arguments(arg "" "" "SOURCES;CUDA_SOURCES;CUDA_TOGETHER;LINK" ${ARGN})
  set(target flashblock_${folder})
  if(NOT arg_SOURCES)
    add_library(${target} INTERFACE)
    target_link_libraries(${target} INTERFACE ${arg_LINK})
    return()
  endif()
  add_library(${target} STATIC ${arg_SOURCES})
  if(FLASHBLOCK_CUDA)
    if(FLASHBLOCK_UNITY AND arg_CUDA_TOGETHER)  # CMake itself does so from 3.31 on
      list(TRANSFORM arg_CUDA_TOGETHER REPLACE "(.+)" "#include \"${folder}/\\1\"\n" OUTPUT_VARIABLE includes)
      string(CONCAT includes ${includes})
      set(arg_CUDA_TOGETHER ${CMAKE_CURRENT_BINARY_DIR}/small_kernels.cu)
      file(CONFIGURE OUTPUT ${arg_CUDA_TOGETHER} CONTENT "${includes}" @ONLY)
    endif()
    target_sources(${target} PRIVATE ${arg_CUDA_SOURCES} ${arg_CUDA_TOGETHER})
  endif()
  target_link_libraries(${target} PUBLIC ${arg_LINK})
  if(folder IN_LIST flashblock_quick_folders)
    set(flashblock_sanitizers ${flashblock_light_sanitizers})
  endif()
  flashblock_settings(${target})
  if(folder IN_LIST flashblock_quick_folders)
    flashblock_use_precompiled(${target} flashblock_quick_precompiled)
  else()
    flashblock_use_precompiled(${target} flashblock_precompiled)
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${FLASHBLOCK_UNITY} UNITY_BUILD_BATCH_SIZE 8)
  if(folder IN_LIST flashblock_quick_folders)
    flashblock_optimize_less(${target})
  endif()
endfunction()

function(flashblock_add_test folder)
  cmake_parse_arguments(arg "SUITES;EACH" "" "SOURCES;LINK" ${ARGN})
  set(target ${folder}_tests)
  add_executable(${target} ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE ${arg_LINK} flashblock_test_support GTest::gmock GTest::gtest_main)
  flashblock_settings(${target})
  flashblock_use_precompiled(${target} flashblock_tests_precompiled)
  flashblock_optimize_less(${target})
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${FLASHBLOCK_UNITY} UNITY_BUILD_BATCH_SIZE 8)
  set(TEST_PROGRAM $<TARGET_FILE:${target}>)
  set(TEST_FOLDER ${folder})
  set(TEST_SUITES ${arg_SUITES})
  set(TEST_EACH ${arg_EACH})
  configure_file(${CMAKE_SOURCE_DIR}/cmake/discover_tests.cmake.in
                 ${CMAKE_CURRENT_BINARY_DIR}/discover_tests.cmake.in @ONLY)
  set(discovery ${CMAKE_CURRENT_BINARY_DIR}/${folder}_discovery.cmake)
  file(GENERATE OUTPUT ${discovery} INPUT ${CMAKE_CURRENT_BINARY_DIR}/discover_tests.cmake.in)
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${discovery})
endfunction()

# flashblock_thread_tests(<folder> <filter>...): the tests of <folder>_tests for code that uses threads, by GoogleTest
# filter. The preset cpu-tsan runs them (label threads) under ThreadSanitizer.
function(flashblock_thread_tests folder)
  if(NOT FLASHBLOCK_SANITIZE STREQUAL "thread")
    return()
  endif()
  list(JOIN ARGN ":" filter)
  add_test(NAME ${folder}_threads COMMAND ${folder}_tests --gtest_filter=${filter} --gtest_brief=1)
  set_tests_properties(${folder}_threads PROPERTIES LABELS threads TIMEOUT 600
    ENVIRONMENT "TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/cmake/tsan.supp")
endfunction()

# Precompiled headers hold for one set of options.
flashblock_add_precompiled(flashblock_precompiled flashblock_torch <ATen/Functions.h>)
block()
  set(flashblock_sanitizers ${flashblock_light_sanitizers})
  flashblock_add_precompiled(flashblock_quick_precompiled flashblock_torch)
endblock()
if(FLASHBLOCK_PRECOMPILED_HEADERS)
  flashblock_optimize_less(flashblock_quick_precompiled)
endif()
