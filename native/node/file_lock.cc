#include "node/file_lock.h"

#include <sys/file.h>

#include <cerrno>

namespace subten {

Napi::Value lock_file(const Napi::CallbackInfo& info) {
  const int fd = info[0].IsNumber() ? info[0].As<Napi::Number>().Int32Value() : -1;
  int result = 0;
  do {
    result = ::flock(fd, LOCK_EX | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  return Napi::Number::New(info.Env(), result == 0 ? 0 : errno);
}

}  // namespace subten
