// Contexts: choice of threads and ISA with their errors, scratch, the record table and its hash.
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ctx.h"
#include "base/threads.h"
#include "testing/check.h"

using ao_test::Context;

TEST(environment_chooses_the_isa) {
  Context ctx(1);
  const char* wanted = getenv("AO_ISA");
  if (wanted && *wanted) CHECK_EQ(std::string(ao_isa_name(ao_ctx_isa(ctx))), std::string(wanted));
}

TEST(unknown_isa_is_an_error) {
  char err[256] = "";
  CHECK(ao_ctx_create(1, "sse9", err, sizeof err) == nullptr);
  CHECK(strstr(err, "sse9"));
  for (const ao_isa isa : ao::kIsas) CHECK(strstr(err, ao_isa_name(isa)));
  CHECK(ao_ctx_create(-1, nullptr, err, sizeof err) == nullptr);
}

TEST(threads_from_the_environment) {
  int threads = -1;
  CHECK(ao::threads_from_environment(nullptr, &threads) && threads == 0);
  CHECK(ao::threads_from_environment("3", &threads) && threads == 3);
  for (const char* bad : {"0", "-2", "x", "3x", "99999", "1e3"}) CHECK(!ao::threads_from_environment(bad, &threads));
  CHECK(ao::default_threads() >= 1);
}

static void write(const std::string& path, const char* text) { std::ofstream(path) << text; }

TEST(cgroup_quota_takes_the_least_of_the_tree) {
  char root[] = "ao-cgroup-XXXXXX";
  CHECK(mkdtemp(root) != nullptr);
  const std::string base = root;
  for (const char* folder : {"/a", "/a/b", "/cpu", "/cpu/x"}) mkdir((base + folder).c_str(), 0700);
  write(base + "/a/cpu.max", "150000 100000\n");
  write(base + "/a/b/cpu.max", "max 100000\n");
  write(base + "/cpu/x/cpu.cfs_quota_us", "50000\n");
  write(base + "/cpu/x/cpu.cfs_period_us", "20000\n");
  CHECK_NEAR(ao::cgroup_quota("0::/a/b\n", base), 1.5, 0);
  CHECK_NEAR(ao::cgroup_quota("0::/none\n", base), 0, 0);
  CHECK_NEAR(ao::cgroup_quota("7:memory:/x\n4:cpu,cpuacct:/x\n", base), 2.5, 0);
  CHECK_NEAR(ao::cgroup_quota("", base), 0, 0);
  for (const char* file : {"/a/cpu.max", "/a/b/cpu.max", "/cpu/x/cpu.cfs_quota_us", "/cpu/x/cpu.cfs_period_us"})
    unlink((base + file).c_str());
  for (const char* folder : {"/cpu/x", "/cpu", "/a/b", "/a", ""}) rmdir((base + folder).c_str());
}

TEST(scratch_is_aligned_separate_and_reused) {
  Context ctx(1);
  for (int round = 0; round < 3; round++) {
    std::vector<std::pair<char*, size_t>> blocks;
    for (size_t bytes : {size_t{0}, size_t{1}, size_t{64}, size_t{5000}, size_t{1} << 20, size_t{77}}) {
      char* p = static_cast<char*>(ao_scratch(ctx, bytes));
      CHECK(p && reinterpret_cast<uintptr_t>(p) % 64 == 0);
      memset(p, (int)blocks.size(), bytes);
      blocks.push_back({p, bytes});
    }
    for (size_t k = 0; k < blocks.size(); k++)
      for (size_t i = 0; i < blocks[k].second; i++)
        if (blocks[k].first[i] != (char)k) {
          CHECK(!"scratch blocks overlap");
          break;
        }
    ao_ctx_reset(ctx);
  }
  CHECK(ao_scratch(ctx, SIZE_MAX - 10) == nullptr);
  CHECK(ao::scratch<double>(ctx, int64_t{1} << 60) == nullptr && strstr(ao_ctx_error(ctx), "out of memory"));
  ao_ctx_reset(ctx);
  CHECK_EQ(std::string(ao_ctx_error(ctx)), std::string());
}

TEST(records_reach_the_kernel) {
  Context ctx(1);
  int count = 0;
  const ao_entry* entries = ao_cpu_entries(&count);
  const ao_entry* copy = nullptr;
  for (int i = 0; i < count; i++) {
    int length = 0;
    for (int f = 0; f < entries[i].field_count; f++) {
      CHECK(strchr("iobnfv", entries[i].fields[f].kind) && entries[i].fields[f].count >= 1);
      length += entries[i].fields[f].count;
    }
    CHECK_EQ(entries[i].record_length, length);
    if (!strcmp(entries[i].name, "copy_strided")) copy = &entries[i];
  }
  CHECK(copy != nullptr);
  if (!copy) return;
  const int32_t x[6] = {1, 2, 3, 4, 5, 6};
  int32_t out[6] = {};
  std::vector<double> record = {(double)(uintptr_t)out,
                                (double)(uintptr_t)x,
                                AO_I32,
                                AO_I32,
                                2,
                                3,
                                2,
                                0,
                                0,
                                0,
                                0,
                                2,
                                1,
                                0,
                                0,
                                0,
                                0,
                                1,
                                3,
                                0,
                                0,
                                0,
                                0};
  CHECK_EQ(copy->record_length, (int)record.size());
  CHECK_EQ(copy->run(record.data(), ctx), 0);
  const int32_t transposed[6] = {1, 4, 2, 5, 3, 6};
  CHECK(memcmp(out, transposed, sizeof out) == 0);
  record[2] = 99;
  CHECK_EQ(copy->run(record.data(), ctx), 1);
  CHECK(strstr(ao_ctx_error(ctx), "copy_strided"));
}

TEST(abi_hash_is_stable_text) {
  CHECK_EQ(strlen(ao_cpu_abi_hash()), size_t{16});
  CHECK_EQ(std::string(ao_cpu_abi_hash()), std::string(ao_cpu_abi_hash()));
}

AO_TEST_MAIN()
