#include "napi.h"

namespace ao {

napi_value throw_error(napi_env env, const char* code, const std::string& message) {
  napi_throw_error(env, code, message.c_str());
  return nullptr;
}

bool to_double(napi_env env, napi_value value, double* out) {
  if (napi_get_value_double(env, value, out) == napi_ok && *out == *out) return true;
  throw_error(env, "ERR_AO_STREAM", "the addon wants a number here");
  return false;
}

bool to_bytes(napi_env env, napi_value value, Bytes* out) {
  static constexpr size_t kSizes[] = {1, 1, 1, 2, 2, 4,
                                      4, 4, 8, 8, 8}; // int8 .. biguint64, as napi_typedarray_type counts
  bool typed = false;
  napi_typedarray_type type;
  size_t length, offset;
  void* data;
  napi_value buffer;
  if (napi_is_typedarray(env, value, &typed) == napi_ok && typed &&
      napi_get_typedarray_info(env, value, &type, &length, &data, &buffer, &offset) == napi_ok &&
      static_cast<size_t>(type) < sizeof kSizes / sizeof *kSizes) {
    *out = {static_cast<uint8_t*>(data), length * kSizes[type]};
    return true;
  }
  throw_error(env, "ERR_AO_STREAM", "the addon wants a typed array here");
  return false;
}

bool to_text(napi_env env, napi_value value, std::string* out) {
  size_t size = 0;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &size) == napi_ok) {
    out->resize(size);
    napi_get_value_string_utf8(env, value, out->data(), size + 1, &size);
    return true;
  }
  throw_error(env, "ERR_AO_STREAM", "the addon wants a string here");
  return false;
}

napi_value number(napi_env env, double value) {
  napi_value result = nullptr;
  napi_create_double(env, value, &result);
  return result;
}

napi_value text(napi_env env, const std::string& value) {
  napi_value result = nullptr;
  napi_create_string_utf8(env, value.data(), value.size(), &result);
  return result;
}

void set(napi_env env, napi_value object, const char* name, napi_value value) {
  napi_set_named_property(env, object, name, value);
}

} // namespace ao
