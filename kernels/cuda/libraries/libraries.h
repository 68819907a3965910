// The libraries of a context, opened when they are first needed.
#pragma once

namespace ao {

struct Libraries;
Libraries* open_libraries();
void close_libraries(Libraries* libraries);

} // namespace ao
