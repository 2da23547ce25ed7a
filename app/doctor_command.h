// `flashblock doctor`: what is installed, and what a render would use.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace flashblock {

/// `flashblock doctor`.
struct DoctorRequest {
  bool json = false;
};

/// What was found: program, libraries, processor, gpus, render, memory, disk, models, problems.
nlohmann::ordered_json examine_machine();

/// The same for a reader, on one screen.
std::string doctor_text(const nlohmann::ordered_json& found);

/// Prints it. Returns the exit status: that of the first problem, else kDone.
int run_doctor(const DoctorRequest& request);

}  // namespace flashblock
