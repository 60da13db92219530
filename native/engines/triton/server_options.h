// From settings by name to the options that Triton's server is started with.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "engines/triton/library.h"
#include "memory/status.h"

namespace subten {

// Settings that belong to the server and not to a model.
bool is_server_setting(std::string_view name) noexcept;
// What the setting means where nobody has given it.
std::string_view default_server_setting(std::string_view name) noexcept;

// `folder` holds the library: backends and caches are looked for beside it. The options are the caller's to delete.
// kConfigInvalid names the setting, and what it may be.
Status make_server_options(const std::map<std::string, std::string>& settings, const std::string& folder,
                           const std::string& repository, TRITONSERVER_ServerOptions** out);

}  // namespace subten
