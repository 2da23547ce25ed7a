# One imported or interface target for every foreign library. Their headers are SYSTEM: only our own warnings count.

add_library(flashblock_torch INTERFACE)
# Before LibTorch: its libraries export parts of another libstdc++, whose std::filesystem::remove_all crashes.
target_link_libraries(flashblock_torch INTERFACE stdc++)
# ATen/TensorOperators.h then costs almost nothing: it does not include every operator's header.
target_compile_definitions(flashblock_torch INTERFACE AT_PER_OPERATOR_HEADERS)
if(FLASHBLOCK_CUDA)
  find_package(Torch REQUIRED)
  target_link_libraries(flashblock_torch INTERFACE ${TORCH_LIBRARIES})
  target_include_directories(flashblock_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
  target_compile_definitions(flashblock_torch INTERFACE FLASHBLOCK_CUDA=1)
  # NCCL's declarations; its functions are those that LibTorch is linked with. Without them: no group of several GPUs.
  get_filename_component(torch_site "${TORCH_INSTALL_PREFIX}/.." ABSOLUTE)
  find_path(NCCL_INCLUDE_DIR nccl.h HINTS ${torch_site}/nvidia/nccl/include)
else()
  # find_package(Torch) of a CUDA build stops without a toolkit; the CPU libraries alone need none.
  find_library(TORCH_CPU_LIBRARY torch_cpu PATH_SUFFIXES lib REQUIRED)
  find_library(C10_LIBRARY c10 PATH_SUFFIXES lib REQUIRED)
  find_path(TORCH_INCLUDE_DIR ATen/ATen.h REQUIRED)
  target_link_libraries(flashblock_torch INTERFACE ${TORCH_CPU_LIBRARY} ${C10_LIBRARY})
  target_include_directories(flashblock_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIR}
                                                               ${TORCH_INCLUDE_DIR}/torch/csrc/api/include)
endif()

find_package(PkgConfig REQUIRED)
pkg_check_modules(FFMPEG REQUIRED IMPORTED_TARGET libavformat libavcodec libswresample libswscale libavutil)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(Boost 1.74 REQUIRED)  # Beast and Asio, which are headers
pkg_check_modules(SENTENCEPIECE REQUIRED IMPORTED_TARGET sentencepiece)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)

# Debian's small OpenCV packages ship neither a CMake configuration nor a pkg-config file.
find_path(OPENCV_INCLUDE_DIR opencv2/core.hpp PATH_SUFFIXES opencv4 REQUIRED)
add_library(flashblock_opencv INTERFACE)
target_include_directories(flashblock_opencv SYSTEM INTERFACE ${OPENCV_INCLUDE_DIR})
foreach(module core imgproc)
  find_library(OPENCV_${module}_LIBRARY opencv_${module} REQUIRED)
  target_link_libraries(flashblock_opencv INTERFACE ${OPENCV_${module}_LIBRARY})
endforeach()

find_package(CLI11 REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(Threads REQUIRED)
if(FLASHBLOCK_TESTS)
  find_package(GTest REQUIRED)
endif()
