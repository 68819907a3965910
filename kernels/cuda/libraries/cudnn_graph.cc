#include "libraries/cudnn_graph.h"

#include <dlfcn.h>
#include <stdlib.h>

namespace ao {
namespace {

enum Type { // cudnnBackendAttributeType_t
  kHandle = 0,
  kDataType = 1,
  kBoolean = 2,
  kInt64 = 3,
  kPointer = 6,
  kHeuristicMode = 8,
  kPointwiseMode = 14,
  kDescriptor = 15,
  kReductionOperator = 18,
};
enum Descriptors { // cudnnBackendDescriptorType_t
  kPointwise = 0,
  kEngineConfig = 3,
  kHeuristic = 4,
  kPlan = 5,
  kPointwiseOperation = 13,
  kOperationGraph = 15,
  kVariantPack = 16,
  kTensor = 17,
  kMatmul = 18,
  kMatmulOperation = 19,
  kReduction = 21,
  kReductionOperation = 22,
  kReshapeOperation = 31,
};

} // namespace

bool open_cudnn(Cudnn* c, cudaStream_t stream) {
  if (c->looked) return c->handle;
  c->looked = true;
  const char* wanted = getenv("AO_CUDA_DNN");
  if (wanted && wanted[0] == '0') return false;
  c->file = open_library("cudnn", {9});
  if (!c->file.handle) return false;
  bool whole = true;
  const auto symbol = [&](const char* name, auto* function) {
    void* found = dlsym(c->file.handle, name);
    *function = reinterpret_cast<std::remove_reference_t<decltype(*function)>>(found);
    whole = whole && found;
  };
  symbol("cudnnCreate", &c->create), symbol("cudnnDestroy", &c->destroy), symbol("cudnnSetStream", &c->set_stream);
  symbol("cudnnGetVersion", &c->get_version);
  symbol("cudnnBackendCreateDescriptor", &c->create_descriptor);
  symbol("cudnnBackendDestroyDescriptor", &c->destroy_descriptor);
  symbol("cudnnBackendFinalize", &c->finalize), symbol("cudnnBackendExecute", &c->execute);
  symbol("cudnnBackendSetAttribute", &c->set), symbol("cudnnBackendGetAttribute", &c->get);
  if (!whole || c->create(&c->handle) != 0) {
    c->handle = nullptr;
    c->file.why = c->file.file + (whole ? " does not start" : " lacks functions of version 9");
    return false;
  }
  c->version = c->get_version();
  c->set_stream(c->handle, stream);
  return true;
}

CudnnGraph::~CudnnGraph() {
  for (auto it = owned_.rbegin(); it != owned_.rend(); ++it) cudnn_.destroy_descriptor(*it);
}

Cudnn::Descriptor CudnnGraph::make(int type) {
  Cudnn::Descriptor d = nullptr;
  if (!good_ || cudnn_.create_descriptor(type, &d) != 0) {
    good_ = false;
    return nullptr;
  }
  owned_.push_back(d);
  return d;
}

void CudnnGraph::set(Cudnn::Descriptor d, int name, int type, int64_t count, const void* values) {
  good_ = good_ && cudnn_.set(d, name, type, count, values) == 0;
}

void CudnnGraph::set_tensor(Cudnn::Descriptor d, int name, int tensor) {
  set(d, name, kDescriptor, 1, &tensors_[static_cast<size_t>(tensor)]);
}

void CudnnGraph::end(Cudnn::Descriptor d) { good_ = good_ && cudnn_.finalize(d) == 0; }

int CudnnGraph::add(CudnnDtype dtype, const Cudnn4& dims, const Cudnn4& strides, int flags) {
  Cudnn::Descriptor d = make(kTensor);
  const int id = static_cast<int>(tensors_.size());
  const int64_t align = 16, uid = id + 1;
  const int32_t type = dtype;
  const bool yes = true;
  set(d, 900, kInt64, 1, &align), set(d, 901, kDataType, 1, &type);
  set(d, 902, kInt64, 4, dims.data()), set(d, 903, kInt64, 4, strides.data());
  set(d, 906, kInt64, 1, &uid);
  if (flags & kVirtual) set(d, 907, kBoolean, 1, &yes);
  if (flags & kByValue) set(d, 908, kBoolean, 1, &yes);
  end(d);
  tensors_.push_back(d);
  return id;
}

void CudnnGraph::pointwise(CudnnPointwise mode, int x, int b, int third, int out, int64_t axis) {
  Cudnn::Descriptor what = make(kPointwise);
  const int32_t m = mode, type = mode == kCudnnGreaterEqual ? kCudnnBool : kCudnnF32;
  set(what, 0, kPointwiseMode, 1, &m), set(what, 1, kDataType, 1, &type);
  if (axis >= 0) set(what, 9, kInt64, 1, &axis);
  end(what);
  Cudnn::Descriptor d = make(kPointwiseOperation);
  set(d, 750, kDescriptor, 1, &what);
  set_tensor(d, 751, x);
  if (b >= 0) set_tensor(d, 752, b);
  set_tensor(d, 753, out);
  if (third >= 0) set_tensor(d, 758, third);
  end(d);
  operations_.push_back(d);
}

void CudnnGraph::matmul(int a, int b, int out) {
  Cudnn::Descriptor what = make(kMatmul);
  const int32_t type = kCudnnF32;
  set(what, 1500, kDataType, 1, &type);
  end(what);
  Cudnn::Descriptor d = make(kMatmulOperation);
  set_tensor(d, 1520, a), set_tensor(d, 1521, b), set_tensor(d, 1522, out);
  set(d, 1523, kDescriptor, 1, &what);
  end(d);
  operations_.push_back(d);
}

void CudnnGraph::reduce(CudnnReduction mode, int x, int out) {
  Cudnn::Descriptor what = make(kReduction);
  const int32_t m = mode, type = kCudnnF32;
  set(what, 1600, kReductionOperator, 1, &m), set(what, 1601, kDataType, 1, &type);
  end(what);
  Cudnn::Descriptor d = make(kReductionOperation);
  set_tensor(d, 1610, x), set_tensor(d, 1611, out);
  set(d, 1612, kDescriptor, 1, &what);
  end(d);
  operations_.push_back(d);
}

void CudnnGraph::reshape(int x, int out) {
  Cudnn::Descriptor d = make(kReshapeOperation);
  set_tensor(d, 2200, x), set_tensor(d, 2201, out);
  end(d);
  operations_.push_back(d);
}

// The first configuration of a heuristic from which a plan can be made.
bool CudnnGraph::plan_of(Cudnn::Descriptor graph, int mode) {
  constexpr int kMost = 8;
  Cudnn::Descriptor heuristic = make(kHeuristic), configurations[kMost] = {};
  if (!good_) return false;
  const int32_t m = mode;
  set(heuristic, 201, kDescriptor, 1, &graph), set(heuristic, 200, kHeuristicMode, 1, &m);
  for (auto& configuration : configurations) configuration = make(kEngineConfig);
  int64_t count = 0;
  if (!good_ || cudnn_.finalize(heuristic) != 0 ||
      cudnn_.get(heuristic, 202, kDescriptor, kMost, &count, configurations) != 0)
    return false;
  for (int64_t i = 0; i < count && i < kMost; i++) {
    Cudnn::Descriptor plan = make(kPlan);
    int64_t size = 0, found = 0;
    if (plan && cudnn_.set(plan, 400, kHandle, 1, &cudnn_.handle) == 0 &&
        cudnn_.set(plan, 401, kDescriptor, 1, &configurations[i]) == 0 && cudnn_.finalize(plan) == 0 &&
        cudnn_.get(plan, 402, kInt64, 1, &found, &size) == 0) {
      plan_ = plan, workspace_ = static_cast<size_t>(size);
      return true;
    }
  }
  return false;
}

bool CudnnGraph::finish() {
  Cudnn::Descriptor graph = make(kOperationGraph);
  set(graph, 801, kDescriptor, static_cast<int64_t>(operations_.size()), operations_.data());
  set(graph, 800, kHandle, 1, &cudnn_.handle);
  end(graph);
  for (int mode : {3, 2}) // by rule, then whatever works
    if (good_ && plan_of(graph, mode)) return true;
  return false;
}

int CudnnGraph::run(std::initializer_list<std::pair<int, const void*>> at, void* workspace) {
  std::vector<int64_t> ids;
  std::vector<const void*> addresses;
  for (const auto& [tensor, address] : at)
    if (tensor >= 0) ids.push_back(tensor + 1), addresses.push_back(address);
  Cudnn::Descriptor pack = nullptr;
  const int64_t count = static_cast<int64_t>(ids.size());
  int status = cudnn_.create_descriptor(kVariantPack, &pack);
  if (status == 0) status = cudnn_.set(pack, 1000, kInt64, count, ids.data());
  if (status == 0) status = cudnn_.set(pack, 1001, kPointer, count, addresses.data());
  if (status == 0) status = cudnn_.set(pack, 1003, kPointer, 1, &workspace);
  if (status == 0) status = cudnn_.finalize(pack);
  if (status == 0) status = cudnn_.execute(cudnn_.handle, plan_, pack);
  if (pack) cudnn_.destroy_descriptor(pack);
  return status;
}

} // namespace ao
