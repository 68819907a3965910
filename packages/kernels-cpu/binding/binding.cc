// What the addon exports. Commands do not pass here: JavaScript writes them to the shared ring (ring.h). These functions
// are for what happens once per block, request, plan or stream.
#include <string.h>

#include "ao/weights.h"
#include "handle.h"
#include "handoff.h"
#include "plugin.h"

namespace ao {
namespace {

napi_value undefined(napi_env env) {
  napi_value result = nullptr;
  napi_get_undefined(env, &result);
  return result;
}

double to_number(const void* pointer) { return static_cast<double>(reinterpret_cast<uintptr_t>(pointer)); }

uint8_t* to_pointer(double address) { return reinterpret_cast<uint8_t*>(static_cast<uintptr_t>(address)); }

// createStream(threads, isa, check, onSettled) -> { handle, control, ring, threads, isa }
napi_value create_stream(napi_env env, napi_callback_info info) {
  Arguments<4> a;
  double threads;
  std::string isa;
  bool check;
  if (!a.read(env, info) || !to_double(env, a.at[0], &threads) || !to_text(env, a.at[1], &isa)) return nullptr;
  if (napi_get_value_bool(env, a.at[2], &check) != napi_ok)
    return throw_error(env, "ERR_AO_STREAM", "check is a boolean");
  return Handle::create(env, static_cast<int>(threads), isa, check, a.at[3]);
}

// wake(stream)
napi_value wake(napi_env env, napi_callback_info info) {
  Arguments<1> a;
  Handle* handle = a.read(env, info) ? Handle::from(env, a.at[0]) : nullptr;
  if (handle) handle->stream()->wake();
  return nullptr;
}

// wait(stream, tail, room, sequence, queued): see Stream::wait
napi_value wait(napi_env env, napi_callback_info info) {
  Arguments<5> a;
  Handle* handle = a.read(env, info) ? Handle::from(env, a.at[0]) : nullptr;
  uint32_t words[4];
  if (!handle) return nullptr;
  for (int i = 0; i < 4; i++) {
    if (napi_get_value_uint32(env, a.at[i + 1], &words[i]) != napi_ok)
      return throw_error(env, "ERR_AO_STREAM", "wait takes integers");
  }
  handle->stream()->wait(words[0], words[1], words[2], words[3]);
  return nullptr;
}

// reserve(stream, nbytes) -> address, 0 where memory is out
napi_value reserve(napi_env env, napi_callback_info info) {
  Arguments<2> a;
  Handle* handle = a.read(env, info) ? Handle::from(env, a.at[0]) : nullptr;
  double bytes;
  if (!handle || !to_double(env, a.at[1], &bytes)) return nullptr;
  return number(env, to_number(handle->stream()->reserve(static_cast<size_t>(bytes))));
}

// poke(stream, address, bytes): writes at once; only where no queued command uses the memory
napi_value poke(napi_env env, napi_callback_info info) {
  Arguments<3> a;
  Handle* handle = a.read(env, info) ? Handle::from(env, a.at[0]) : nullptr;
  double address;
  Bytes bytes;
  if (!handle || !to_double(env, a.at[1], &address) || !to_bytes(env, a.at[2], &bytes)) return nullptr;
  handle->stream()->poke(to_pointer(address), bytes);
  return nullptr;
}

// peek(stream, block, offset, bytes) -> failure or 0; only while the stream is idle
napi_value peek(napi_env env, napi_callback_info info) {
  Arguments<4> a;
  Handle* handle = a.read(env, info) ? Handle::from(env, a.at[0]) : nullptr;
  double block, offset;
  Bytes bytes;
  if (!handle || !to_double(env, a.at[1], &block) || !to_double(env, a.at[2], &offset) ||
      !to_bytes(env, a.at[3], &bytes))
    return nullptr;
  return number(env, handle->stream()->peek(static_cast<uintptr_t>(block), static_cast<size_t>(offset), bytes));
}

// stage(stream, bytes) -> address of a copy that a write command frees, 0 where memory is out
napi_value stage(napi_env env, napi_callback_info info) {
  Arguments<2> a;
  Handle* handle = a.read(env, info) ? Handle::from(env, a.at[0]) : nullptr;
  Bytes bytes;
  if (!handle || !to_bytes(env, a.at[1], &bytes)) return nullptr;
  return number(env, to_number(handle->stream()->stage(bytes.data, bytes.size)));
}

// pin(stream, bytes) -> address for a read command; let go when the read settles
napi_value pin(napi_env env, napi_callback_info info) {
  Arguments<2> a;
  Handle* handle = a.read(env, info) ? Handle::from(env, a.at[0]) : nullptr;
  Bytes bytes;
  if (!handle || !to_bytes(env, a.at[1], &bytes)) return nullptr;
  const Pin* pinned = handle->pin(a.at[1], bytes.data);
  return pinned ? number(env, to_number(pinned))
                : throw_error(env, "ERR_AO_STREAM", "the array cannot be kept in place");
}

// createHandoff(nbytes) -> address for a send and a receive command, 0 where memory is out
napi_value create_handoff(napi_env env, napi_callback_info info) {
  Arguments<1> a;
  double bytes;
  if (!a.read(env, info) || !to_double(env, a.at[0], &bytes)) return nullptr;
  return number(env, to_number(Handoff::create(static_cast<size_t>(bytes))));
}

// setBusy(stream, busy)
napi_value set_busy(napi_env env, napi_callback_info info) {
  Arguments<2> a;
  Handle* handle = a.read(env, info) ? Handle::from(env, a.at[0]) : nullptr;
  bool busy;
  if (!handle) return nullptr;
  if (napi_get_value_bool(env, a.at[1], &busy) != napi_ok)
    return throw_error(env, "ERR_AO_STREAM", "busy is a boolean");
  handle->set_busy(busy);
  return nullptr;
}

// createPlan(stream, id, records, length) -> address for replay and free commands
napi_value create_plan(napi_env env, napi_callback_info info) {
  Arguments<4> a;
  Handle* handle = a.read(env, info) ? Handle::from(env, a.at[0]) : nullptr;
  double id, length;
  Bytes records;
  if (!handle || !to_double(env, a.at[1], &id) || !to_bytes(env, a.at[2], &records) ||
      !to_double(env, a.at[3], &length))
    return nullptr;
  return number(env, to_number(handle->stream()->add_plan(id, reinterpret_cast<const double*>(records.data),
                                                          static_cast<size_t>(length))));
}

// takeFailures(stream) -> [{ id, sequence, plan, index, op, message }], each failure once
napi_value take_failures(napi_env env, napi_callback_info info) {
  Arguments<1> a;
  Handle* handle = a.read(env, info) ? Handle::from(env, a.at[0]) : nullptr;
  if (!handle) return nullptr;
  napi_value list;
  napi_create_array(env, &list);
  uint32_t count = 0;
  for (const Failure& failure : handle->stream()->take_failures()) {
    napi_value item;
    napi_create_object(env, &item);
    set(env, item, "id", number(env, failure.id));
    set(env, item, "sequence", number(env, static_cast<double>(failure.sequence)));
    set(env, item, "plan", number(env, failure.plan));
    set(env, item, "index", number(env, static_cast<double>(failure.index)));
    set(env, item, "op", text(env, failure.op));
    set(env, item, "message", text(env, failure.message));
    napi_set_element(env, list, count++, item);
  }
  return list;
}

// close(stream): ends the thread after the command it is in and frees every block
napi_value close(napi_env env, napi_callback_info info) {
  Arguments<1> a;
  Handle* handle = a.read(env, info) ? Handle::from(env, a.at[0]) : nullptr;
  if (handle) handle->close();
  return nullptr;
}

// openPlugin(path) -> [{ name, entry, length }], a kernel each
napi_value open_plugin(napi_env env, napi_callback_info info) {
  Arguments<1> a;
  std::string path, why;
  if (!a.read(env, info) || !to_text(env, a.at[0], &path)) return nullptr;
  int count = 0;
  const ao_entry* entries = ao::open_plugin(path.c_str(), &count, &why);
  if (!entries) return throw_error(env, "ERR_AO_KERNEL", why.c_str());
  napi_value list = nullptr;
  napi_create_array(env, &list);
  for (int i = 0; i < count; i++) {
    napi_value kernel = nullptr;
    napi_create_object(env, &kernel);
    set(env, kernel, "name", text(env, entries[i].name));
    set(env, kernel, "entry", number(env, to_number(&entries[i])));
    set(env, kernel, "length", number(env, entries[i].record_length));
    napi_set_element(env, list, static_cast<uint32_t>(i), kernel);
  }
  return list;
}

// weightPackedSize(code, n, k, groupSize, zeroDomain, scaleDtype, zeroDtype, bits, activation) -> bytes, -1 where no layout takes the weight
napi_value weight_packed_size(napi_env env, napi_callback_info info) {
  Arguments<9> a;
  double v[9];
  if (!a.read(env, info)) return nullptr;
  for (int i = 0; i < 9; i++) {
    if (!to_double(env, a.at[i], &v[i])) return nullptr;
  }
  const auto at = [&v](int i) { return static_cast<int64_t>(v[i]); };
  return number(env, static_cast<double>(
                         AO_ROW(weight_packed_size)(at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7), at(8))));
}

// reportMemory(change): tells the garbage collector about native bytes
napi_value report_memory(napi_env env, napi_callback_info info) {
  Arguments<1> a;
  double change;
  int64_t total;
  if (!a.read(env, info) || !to_double(env, a.at[0], &change)) return nullptr;
  napi_adjust_external_memory(env, static_cast<int64_t>(change), &total);
  return undefined(env);
}

} // namespace

napi_value init(napi_env env, napi_value exports) {
  const struct {
    const char* name;
    napi_callback run;
  } functions[] = {
      {"createStream", create_stream},
      {"wake", wake},
      {"wait", wait},
      {"reserve", reserve},
      {"poke", poke},
      {"peek", peek},
      {"stage", stage},
      {"pin", pin},
      {"createHandoff", create_handoff},
      {"setBusy", set_busy},
      {"createPlan", create_plan},
      {"takeFailures", take_failures},
      {"close", close},
      {"reportMemory", report_memory},
      {"weightPackedSize", weight_packed_size},
      {"openPlugin", open_plugin},
  };
  for (const auto& function : functions) {
    napi_value value;
    if (napi_create_function(env, function.name, NAPI_AUTO_LENGTH, function.run, nullptr, &value) != napi_ok)
      return nullptr;
    set(env, exports, function.name, value);
  }
  set(env, exports, "abiHash", text(env, AO_ROW(abi_hash)()));
  set(env, exports, "protocol", text(env, protocol_text()));
  return exports;
}

} // namespace ao
