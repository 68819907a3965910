// The few Node-API conversions the binding needs. Each throws into JavaScript and returns false on a wrong argument.
#pragma once
#define NAPI_VERSION 8
#include <node_api.h>
#include <stddef.h>
#include <stdint.h>

#include <string>

#include "stream.h"

namespace ao {

napi_value throw_error(napi_env env, const char* code, const std::string& message);

template <size_t count>
struct Arguments {
  napi_value at[count];
  bool read(napi_env env, napi_callback_info info) {
    size_t given = count;
    if (napi_get_cb_info(env, info, &given, at, nullptr, nullptr) == napi_ok && given >= count) return true;
    throw_error(env, "ERR_AO_STREAM", "the addon takes " + std::to_string(count) + " arguments here");
    return false;
  }
};

bool to_double(napi_env env, napi_value value, double* out);
bool to_bytes(napi_env env, napi_value value, Bytes* out); // any typed array
bool to_text(napi_env env, napi_value value, std::string* out);

napi_value number(napi_env env, double value);
napi_value text(napi_env env, const std::string& value);
void set(napi_env env, napi_value object, const char* name, napi_value value);

} // namespace ao
