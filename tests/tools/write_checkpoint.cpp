// flashblock_write_checkpoint PARITY_FILE FOLDER: a model with formula weights, to be rendered with --replay
// PARITY_FILE.
#include <exception>
#include <iostream>

#include "tests/support/model_folder_writer.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: flashblock_write_checkpoint PARITY_FILE.safetensors FOLDER\n";
    return 2;
  }
  try {
    flashblock::testing::write_model_folder(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::cerr << "flashblock_write_checkpoint: error: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
