// Checks everything JS hands over with a request against the specification of the model.
#pragma once

#include <string>

#include "executor/port.h"

namespace subten {

// Shapes, sizes, rows and priority of `submission`; for staged inputs also fills the slot's input records.
Code check_inputs(ModelCore& core, const Submission& submission, const StagedInput* staging,
                  std::string* message) noexcept;

}  // namespace subten
