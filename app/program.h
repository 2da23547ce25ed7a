// The whole program, but for `main`.
#pragma once

namespace flashblock {

/// Does what the command line says. Errors become one line on standard error.
/// Returns the exit status: see ExitStatus; 128 plus the signal's number if interrupted.
int run_program(int argc, const char* const* argv);

}  // namespace flashblock
