#include "app/program.h"

int main(int argc, char** argv) { return flashblock::run_program(argc, argv); }
