# flashblock_add_library(<folder> SOURCES ... [CUDA_SOURCES ...] LINK ...): the static library flashblock_<folder>.
# flashblock_add_test(<folder> SOURCES ... [LINK ...]): the test program <folder>_tests, registered with CTest as
#   <folder> (label cpu) and, where it has tests named *Cuda*, <folder>_cuda (label cuda).
# Tests whose names contain Slow are left out of both and run by `ctest -L slow`.

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
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  set(target ${folder}_tests)
  add_executable(${target} ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE ${arg_LINK} flashblock_test_support GTest::gmock GTest::gtest_main)
  flashblock_settings(${target})
  target_precompile_headers(${target} REUSE_FROM flashblock_tests_precompiled)
  add_test(NAME ${folder} COMMAND ${target} --gtest_filter=-*Cuda*:*Slow* --gtest_brief=1)
  set_tests_properties(${folder} PROPERTIES LABELS cpu TIMEOUT 600)
  set(cuda_tests)
  set(slow_tests)
  foreach(source ${arg_SOURCES})
    file(STRINGS ${source} found REGEX "TEST.*Cuda")
    list(APPEND cuda_tests ${found})
    file(STRINGS ${source} found REGEX "TEST.*Slow")
    list(APPEND slow_tests ${found})
  endforeach()
  if(cuda_tests)
    add_test(NAME ${folder}_cuda COMMAND ${target} --gtest_filter=*Cuda*-*Slow* --gtest_brief=1)
    set_tests_properties(${folder}_cuda PROPERTIES LABELS cuda TIMEOUT 600)
  endif()
  if(slow_tests)
    add_test(NAME ${folder}_slow COMMAND ${target} --gtest_filter=*Slow* --gtest_brief=1)
    set_tests_properties(${folder}_slow PROPERTIES LABELS slow TIMEOUT 3600)
  endif()
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

flashblock_add_precompiled(flashblock_precompiled "flashblock_torch;nlohmann_json::nlohmann_json"
  <ATen/Functions.h> <ATen/core/Tensor.h> <algorithm> <cstdint> <filesystem> <functional> <map> <memory> <nlohmann/json.hpp> <optional> <sstream>
  <string> <vector>)
if(FLASHBLOCK_TESTS)
  flashblock_add_precompiled(flashblock_tests_precompiled "flashblock_torch;nlohmann_json::nlohmann_json;GTest::gmock"
    <ATen/Functions.h> <ATen/core/Tensor.h> <algorithm> <cstdint> <filesystem> <functional> <gmock/gmock.h> <gtest/gtest.h> <map> <memory>
    <nlohmann/json.hpp> <optional> <sstream> <string> <vector>)
endif()
