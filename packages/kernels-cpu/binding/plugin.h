// Libraries of kernels beside this one; see ao/plugin.h.
#pragma once
#include <string>

#include "ao/ao.h"

namespace ao {

// Opens a library for the rest of the process. Null with the reason in `why` where it cannot be opened or describes a kernel badly.
const ao_entry* open_plugin(const char* path, int* count, std::string* why);

} // namespace ao
