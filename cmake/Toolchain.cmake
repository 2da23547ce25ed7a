# The compilers, the C++ standard, and where LibTorch and the CUDA toolkit are.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
include(GNUInstallDirs)

# Files are named as in the source folder, wherever that is: two builds give the same program.
set(path_map -fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=)
add_compile_options($<$<COMPILE_LANGUAGE:CXX>:${path_map}> $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=${path_map}>)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # The source folder is left out of the hash, so that several checkouts share one cache.
  set(launcher ${CMAKE_COMMAND} -E env CCACHE_NOHASHDIR=1 CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}
      CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE_PROGRAM})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${launcher})
endif()

# LibTorch is the wheel in the project's own virtual environment, unless Torch_DIR names another.
if(NOT Torch_DIR AND NOT CMAKE_PREFIX_PATH)
  file(GLOB site_packages ${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages)
  if(NOT site_packages)
    message(FATAL_ERROR "LibTorch not found: run scripts/setup, or set Torch_DIR")
  endif()
  list(GET site_packages 0 site_packages)
  set(CMAKE_PREFIX_PATH ${site_packages}/torch)
  set(wheel_toolkit ${site_packages}/nvidia/cu13)
endif()

if(FLASHBLOCK_CUDA)
  find_program(SYSTEM_NVCC nvcc PATHS /usr/local/cuda/bin /usr/local/cuda-13.0/bin)
  if(wheel_toolkit AND EXISTS ${wheel_toolkit}/bin/nvcc AND NOT SYSTEM_NVCC)
    set(CMAKE_CUDA_COMPILER ${wheel_toolkit}/bin/nvcc CACHE FILEPATH "")
    set(CUDAToolkit_ROOT ${wheel_toolkit} CACHE PATH "")
    set(CUDA_TOOLKIT_ROOT_DIR ${wheel_toolkit} CACHE PATH "")
  elseif(SYSTEM_NVCC AND NOT CMAKE_CUDA_COMPILER)
    set(CMAKE_CUDA_COMPILER ${SYSTEM_NVCC} CACHE FILEPATH "")
  endif()
  # Always given: without it LibTorch's CMake looks for a GPU on the build machine, and stops where there is none.
  # Each architecture is a quarter of the kernels' compile time. LibTorch's own kernels have none for 8.9 either: those
  # for 8.0 run there, and no kernel here asks for more. The driver compiles PTX for newer GPUs that have no code of
  # their own: that of 9.0 for 10.0, too, which that of 12.0 would not do.
  set(TORCH_CUDA_ARCH_LIST "8.0;9.0+PTX;12.0" CACHE STRING "GPU architectures, in LibTorch's notation")
  # CMake 3.25 does not know the flag for C++20 of nvcc 13.
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)  # one CUDA runtime in the process: LibTorch's
  enable_language(CUDA)
endif()
