// `flashblock serve`.
#pragma once

#include "app/server_options.h"

namespace flashblock {

/// Serves until it is interrupted, which is its normal end. Returns the exit status. Throws: Error.
int run_serve(const ServeRequest& request);

}  // namespace flashblock
