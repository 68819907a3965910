// The pool: every index exactly once, chunk bounds, member numbers, contexts in turn, nothing left behind after the
// last.
#include <atomic>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "base/ctx.h"
#include "testing/check.h"

using ao_test::Context;

static void check_cover(ao_ctx* ctx, int64_t n, int64_t chunk) {
  std::vector<std::atomic<int>> seen(n > 0 ? n : 1);
  std::atomic<int> bad{0};
  ao::parallel_for(ctx, n, chunk, [&](int64_t begin, int64_t end, int thread) {
    if (begin < 0 || end > n || end - begin > chunk || end <= begin || thread < 0 || thread >= ao_ctx_threads(ctx))
      bad++;
    for (int64_t i = begin; i < end; i++) seen[i]++;
  });
  int wrong = 0;
  for (int64_t i = 0; i < n; i++) wrong += seen[i] != 1;
  CHECK_MSG(wrong == 0 && bad == 0, "n %lld chunk %lld: %d indices, %d calls wrong", (long long)n, (long long)chunk,
            wrong, bad.load());
}

TEST(covers_each_index_once) {
  for (int threads : {1, 2, 3, 8}) {
    Context ctx(threads);
    CHECK_EQ(ao_ctx_threads(ctx), threads);
    for (int64_t n : {0, 1, 2, 7, 64, 1000, 4097})
      for (int64_t chunk : {1, 3, 64, 5000}) check_cover(ctx, n, chunk);
  }
}

TEST(members_do_not_collide) {
  Context ctx(4);
  std::atomic<int> busy[4] = {};
  std::atomic<int> collisions{0};
  for (int round = 0; round < 2000; round++) {
    ao::parallel_for(ctx, 16, 1, [&](int64_t, int64_t, int thread) {
      if (busy[thread].fetch_add(1) != 0) collisions++;
      std::this_thread::yield();
      busy[thread].fetch_sub(1);
    });
  }
  CHECK_EQ(collisions.load(), 0);
}

TEST(results_of_members_are_visible_to_the_caller) {
  Context ctx(3);
  std::vector<int64_t> values(3000);
  for (int64_t round = 1; round <= 500; round++) {
    ao::parallel_for(ctx, 3000, 100, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; i++) values[i] = round;
    });
    int64_t sum = 0;
    for (int64_t v : values) sum += v;
    CHECK_EQ((double)sum, (double)(3000 * round));
  }
}

TEST(sleeping_workers_wake) {
  Context ctx(3);
  for (int round = 0; round < 5; round++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    check_cover(ctx, 999, 10);
  }
}

TEST(streams_take_turns) {
  Context a(3), b(2);
  std::thread other([&] {
    for (int i = 0; i < 300; i++) check_cover(b, 200, 7);
  });
  for (int i = 0; i < 300; i++) check_cover(a, 300, 11);
  other.join();
}

TEST(contexts_come_and_go) {
  for (int round = 0; round < 20; round++) {
    Context ctx(1 + round % 4);
    check_cover(ctx, 100, 9);
  }
}

TEST(a_forked_child_runs_inline) {
  Context ctx(3);
  check_cover(ctx, 100, 9);
  const pid_t child = fork();
  if (child == 0) {
    int64_t sum = 0;
    ao::parallel_for(ctx, 100, 9, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; i++) sum += i;
    });
    _exit(sum == 4950 ? 0 : 1);
  }
  int status = 1;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

AO_TEST_MAIN()
