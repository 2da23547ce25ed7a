// From a checked video to a session that renders it: its inputs, encoded, and its options.
#pragma once

#include "pipeline/loaded_model.h"
#include "pipeline/render_session.h"
#include "render/render.h"
#include "render/render_setup.h"

namespace flashblock {

/// The inputs of `setup`'s video: prompts and start, encoded, and the noise. Throws: Error.
SessionInputs make_inputs(const RenderSetup& setup, const LoadedModel& model, RenderObserver& observer);

/// How a session renders `setup`'s video, on that model's device and on its line.
SessionOptions session_options(const RenderSetup& setup, LoadedModel& model);

}  // namespace flashblock
