// Process groups whose ranks are threads here: every collective against its definition, over sizes around the spans; failures that end a
// group on all ranks.
#include <functional>
#include <thread>

#include "ao/collective.h"
#include "testing/check.h"

using namespace ao_test;

namespace {

int64_t next_group = 1;

// Runs `rank(r, group, ctx)` on a thread for each rank of a connected group; the reasons of what failed.
std::vector<std::string> ranks(int size, double timeout, const std::function<int(int, int64_t, ao_ctx*)>& rank) {
  const int64_t first = next_group;
  next_group += size;
  std::vector<uint8_t> addresses(static_cast<size_t>(size) * AO_GROUP_ADDRESS);
  std::vector<std::string> why(static_cast<size_t>(size));
  std::vector<ao_ctx*> contexts;
  char err[256];
  for (int r = 0; r < size; r++) {
    contexts.push_back(ao_ctx_create(1, "", err, sizeof err));
    const ao_group_open_args open{&addresses[static_cast<size_t>(r) * AO_GROUP_ADDRESS], first + r, 0x7f000001, r,
                                  size};
    if (ao_cpu_group_open(&open, contexts.back())) why[static_cast<size_t>(r)] = ao_ctx_error(contexts.back());
  }
  std::vector<std::thread> threads;
  for (int r = 0; r < size; r++)
    threads.emplace_back([&, r] {
      ao_ctx* ctx = contexts[static_cast<size_t>(r)];
      const ao_group_connect_args connect{addresses.data(), first + r, timeout};
      if (ao_cpu_group_connect(&connect, ctx) || rank(r, first + r, ctx))
        why[static_cast<size_t>(r)] = ao_ctx_error(ctx);
      const ao_group_close_args close{first + r};
      ao_cpu_group_close(&close, ctx);
    });
  for (std::thread& t : threads) t.join();
  for (ao_ctx* ctx : contexts) ao_ctx_destroy(ctx);
  return why;
}

float value(int rank, int64_t i) { return sinf(static_cast<float>(i) * 0.7f + static_cast<float>(rank)) * 3; }

} // namespace

TEST(sums_and_pieces) {
  for (int size : {1, 2, 3, 5})
    for (int64_t n : {1, 3, 4096, 4097, 20011}) {
      std::vector<std::vector<float>> sum, all, part, sent;
      for (auto* v : {&sum, &all, &part, &sent}) v->resize(static_cast<size_t>(size));
      const auto why = ranks(size, 20, [&](int r, int64_t group, ao_ctx* ctx) {
        const size_t k = static_cast<size_t>(r), count = static_cast<size_t>(n);
        std::vector<float> x(count * static_cast<size_t>(size));
        for (int64_t i = 0; i < n * size; i++) x[static_cast<size_t>(i)] = value(r, i);
        sum[k].assign(x.begin(), x.begin() + n), sent[k] = sum[k];
        all[k].resize(x.size()), part[k].resize(count);
        const ao_collective_args reduce{sum[k].data(), nullptr, group, AO_ALL_REDUCE, n, AO_F32, AO_SUM, 0};
        const ao_collective_args gather{all[k].data(), x.data(), group, AO_ALL_GATHER, n, AO_F32, AO_SUM, 0};
        const ao_collective_args scatter{part[k].data(), x.data(), group, AO_REDUCE_SCATTER, n, AO_F32, AO_MAX, 0};
        const ao_collective_args send{sent[k].data(), nullptr, group, AO_BROADCAST, n, AO_F32, AO_SUM, size - 1};
        return ao_cpu_collective(&reduce, ctx) || ao_cpu_collective(&gather, ctx) || ao_cpu_collective(&scatter, ctx) ||
               ao_cpu_collective(&send, ctx);
      });
      int wrong = 0;
      for (int r = 0; r < size; r++) {
        const size_t k = static_cast<size_t>(r);
        CHECK_EQ(why[k], std::string());
        for (int64_t i = 0; i < n; i++) {
          float total = value(0, i), most = value(0, r * n + i);
          for (int q = 1; q < size; q++) total += value(q, i), most = fmaxf(most, value(q, r * n + i));
          const size_t at = static_cast<size_t>(i);
          wrong += sum[k][at] != total || part[k][at] != most || sent[k][at] != value(size - 1, i);
          for (int q = 0; q < size; q++) wrong += all[k][static_cast<size_t>(q * n + i)] != value(q, i);
        }
      }
      CHECK_EQ(wrong, 0);
    }
}

TEST(halves_are_summed_in_float32_and_rounded_once) {
  for (int64_t dtype : {AO_BF16, AO_F16}) {
    std::vector<std::vector<uint16_t>> out(3, std::vector<uint16_t>(9));
    const auto why = ranks(3, 20, [&](int r, int64_t group, ao_ctx* ctx) {
      for (int64_t i = 0; i < 9; i++)
        encode(dtype, reinterpret_cast<unsigned char*>(out[static_cast<size_t>(r)].data()), i, value(r, i));
      const ao_collective_args args{
          out[static_cast<size_t>(r)].data(), nullptr, group, AO_ALL_REDUCE, 9, dtype, AO_AVG, 0};
      return ao_cpu_collective(&args, ctx);
    });
    CHECK_EQ(why[0] + why[1] + why[2], std::string());
    std::vector<uint16_t> own(3), expected(9);
    for (int64_t i = 0; i < 9; i++) {
      float sum = 0;
      for (int r = 0; r < 3; r++) {
        unsigned char* bytes = reinterpret_cast<unsigned char*>(own.data());
        encode(dtype, bytes, r, value(r, i));
        sum += static_cast<float>(decode(dtype, bytes, r));
      }
      encode(dtype, reinterpret_cast<unsigned char*>(expected.data()), i, sum / 3);
    }
    for (const auto& o : out) CHECK(o == expected);
  }
}

TEST(differences_end_the_group_on_every_rank) {
  const auto why = ranks(3, 20, [&](int r, int64_t group, ao_ctx* ctx) {
    float x[4] = {};
    const ao_collective_args args{x, nullptr, group, AO_ALL_REDUCE, r == 1 ? 3 : 4, AO_F32, AO_SUM, 0};
    if (!ao_cpu_collective(&args, ctx)) return 0;
    const std::string first = ao_ctx_error(ctx);
    ao_ctx_reset(ctx);
    return ao_cpu_collective(&args, ctx);
  });
  for (const std::string& text : why) CHECK(text.find("the process group broke earlier: rank ") == 0);
  CHECK((why[0] + why[1] + why[2]).find("does all_reduce of float32[3] by sum, its call 1") != std::string::npos ||
        why[1].find("does all_reduce of float32[4] by sum, its call 1") != std::string::npos);
}

TEST(who_does_not_come_is_named) {
  const auto why = ranks(2, 0.3, [&](int r, int64_t group, ao_ctx* ctx) {
    float x = 1;
    const ao_collective_args args{&x, nullptr, group, AO_ALL_REDUCE, 1, AO_F32, AO_SUM, 0};
    if (r == 0) return ao_cpu_collective(&args, ctx);
    std::this_thread::sleep_for(std::chrono::milliseconds(900));
    return 0;
  });
  CHECK(why[0].find("rank 0 of 2, all_reduce of float32[1] by sum, its call 1: rank 1 did not come for 0 s") == 0);
}

AO_TEST_MAIN()
