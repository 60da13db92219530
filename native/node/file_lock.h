// A lock on an open file that the kernel takes back when its process ends, however it ends.
#pragma once

#include <napi.h>

namespace subten {

// lockFile(fd): 0, or the errno: EWOULDBLOCK when another open file has the lock. Closing the descriptor gives it back.
Napi::Value lock_file(const Napi::CallbackInfo& info);

}  // namespace subten
