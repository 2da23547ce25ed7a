# flashblock_add_library(<folder> SOURCES ... [CUDA_SOURCES ...] LINK ...): the static library flashblock_<folder>.
# flashblock_add_test(<folder> SOURCES ... [LINK ...] [EACH]): the test program <folder>_tests, whose tests are registered
#   with CTest by suite, or one by one with EACH (discover_tests.cmake.in).

set(flashblock_warnings -Wall -Wextra -Wno-missing-field-initializers)
if(FLASHBLOCK_WARNINGS_AS_ERRORS)
  list(APPEND flashblock_warnings -Werror)
endif()

# flashblock_uses_regex(<source>...): where a sanitizer is on, GCC 12 takes parts of its own std::regex for uninitialized.
function(flashblock_uses_regex)
  if(FLASHBLOCK_SANITIZE)
    foreach(source ${ARGN})
      flashblock_own_options(${source} -Wno-maybe-uninitialized)
    endforeach()
  endif()
endfunction()

# LibTorch's and a few other large headers, compiled once for the program and once for the tests. A source with compiler
# options of its own is compiled without them: see flashblock_own_options.
function(flashblock_add_precompiled name link)
  file(WRITE ${CMAKE_BINARY_DIR}/${name}.cpp "")
  add_library(${name} OBJECT EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/${name}.cpp)
  target_link_libraries(${name} PUBLIC ${link})
  target_precompile_headers(${name} PRIVATE ${ARGN})
  flashblock_settings(${name})
endfunction()

# flashblock_own_options(<source> <option>...)
function(flashblock_own_options source)
  set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${ARGN}" SKIP_PRECOMPILE_HEADERS ON)
endfunction()

function(flashblock_settings target)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}>)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:${flashblock_warnings}>)
  if(FLASHBLOCK_SANITIZE)
    target_compile_options(${target} PUBLIC $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${FLASHBLOCK_SANITIZE};-fno-omit-frame-pointer;-fno-sanitize-recover=undefined>)
    target_link_options(${target} PUBLIC -fsanitize=${FLASHBLOCK_SANITIZE})
  endif()
endfunction()

function(flashblock_add_library folder)
  cmake_parse_arguments(arg "" "" "SOURCES;CUDA_SOURCES;LINK" ${ARGN})
  set(target flashblock_${folder})
  if(NOT arg_SOURCES)
    add_library(${target} INTERFACE)
    target_link_libraries(${target} INTERFACE ${arg_LINK})
    return()
  endif()
  add_library(${target} STATIC ${arg_SOURCES})
  if(FLASHBLOCK_CUDA)
    target_sources(${target} PRIVATE ${arg_CUDA_SOURCES})
  endif()
  target_link_libraries(${target} PUBLIC ${arg_LINK})
  flashblock_settings(${target})
  target_precompile_headers(${target} REUSE_FROM flashblock_precompiled)
endfunction()

function(flashblock_add_test folder)
  cmake_parse_arguments(arg "EACH" "" "SOURCES;LINK" ${ARGN})
  set(target ${folder}_tests)
  add_executable(${target} ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE ${arg_LINK} flashblock_test_support GTest::gmock GTest::gtest_main)
  flashblock_settings(${target})
  target_precompile_headers(${target} REUSE_FROM flashblock_tests_precompiled)
  set_target_properties(${target} PROPERTIES UNITY_BUILD OFF)  # helpers of two tests may have one name
  set(TEST_PROGRAM $<TARGET_FILE:${target}>)
  set(TEST_FOLDER ${folder})
  set(TEST_EACH ${arg_EACH})
  configure_file(${CMAKE_SOURCE_DIR}/cmake/discover_tests.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/discover_tests.cmake.in @ONLY)
  set(discovery ${CMAKE_CURRENT_BINARY_DIR}/${folder}_discovery.cmake)
  file(GENERATE OUTPUT ${discovery} INPUT ${CMAKE_CURRENT_BINARY_DIR}/discover_tests.cmake.in)
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${discovery})
endfunction()

flashblock_add_precompiled(flashblock_precompiled "flashblock_torch;nlohmann_json::nlohmann_json"
  <ATen/Functions.h> <ATen/core/Tensor.h> <algorithm> <cstdint> <filesystem> <functional> <map> <memory> <nlohmann/json.hpp> <optional> <sstream>
  <string> <vector>)
if(FLASHBLOCK_TESTS)
  flashblock_add_precompiled(flashblock_tests_precompiled "flashblock_torch;nlohmann_json::nlohmann_json;GTest::gmock"
    <ATen/Functions.h> <ATen/core/Tensor.h> <algorithm> <cstdint> <filesystem> <functional> <gmock/gmock.h> <gtest/gtest.h> <map> <memory>
    <nlohmann/json.hpp> <optional> <sstream> <string> <vector>)
endif()
