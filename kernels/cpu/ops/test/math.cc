// The vector functions against double precision over a sample of all floats; the bounds are those that
// base/simd_math.h states.
#include "ops/elementwise.h"

#include "testing/check.h"

using namespace ao_test;

struct Case {
  const char* name;
  int op;
  double (*exact)(double);
  double ulps;
  double low, high; // of |x|; outside it only the special values are checked
};

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double gelu(double x) { return 0.5 * x * erfc(-x / sqrt(2.0)); }
static double gelu_tanh(double x) { return x / (1 + exp(-2 * sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }
static double sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }

static const Case cases[] = {
    {"neg", ao::NEG, [](double x) { return -x; }, 0, 0, INFINITY},
    {"abs", ao::ABS, [](double x) { return fabs(x); }, 0, 0, INFINITY},
    {"exp", ao::EXP, [](double x) { return exp(x); }, 1.5, 0, INFINITY},
    {"log", ao::LOG, [](double x) { return log(x); }, 1.5, 0, INFINITY},
    {"sqrt", ao::SQRT, [](double x) { return sqrt(x); }, 0.51, 0, INFINITY},
    {"rsqrt", ao::RSQRT, [](double x) { return 1 / sqrt(x); }, 1.5, 0, INFINITY},
    {"reciprocal", ao::RECIPROCAL, [](double x) { return 1 / x; }, 0.51, 0, INFINITY},
    {"sin", ao::SIN, [](double x) { return sin(x); }, 2.5, 0, 1e30},
    {"cos", ao::COS, [](double x) { return cos(x); }, 2.5, 0, 1e30},
    {"tanh", ao::TANH, [](double x) { return tanh(x); }, 2.5, 0, INFINITY},
    {"sigmoid", ao::SIGMOID, sigmoid, 2.5, 0, INFINITY},
    {"silu", ao::SILU, [](double x) { return x * sigmoid(x); }, 3.5, 0, 80},
    {"gelu", ao::GELU, gelu, 16, 0, 12},
    {"gelu_tanh", ao::GELU_TANH, gelu_tanh, 200, 0, 9},
    {"relu", ao::RELU, [](double x) { return x > 0   ? x
                                             : x < 0 ? 0
                                                     : x; }, 0, 1e-45, INFINITY},
    {"round", ao::ROUND, [](double x) { return nearbyint(x); }, 0, 0, INFINITY},
    {"floor", ao::FLOOR, [](double x) { return floor(x); }, 0, 0, INFINITY},
    {"ceil", ao::CEIL, [](double x) { return ceil(x); }, 0, 0, INFINITY},
    {"sign", ao::SIGN, sign, 0, 0, INFINITY},
    {"erf", ao::ERF, [](double x) { return erf(x); }, 2, 0, INFINITY},
};

TEST(functions_are_as_close_as_stated) {
  Context ctx(1);
  constexpr int64_t n = 1 << 16;
  Buffer<float> x(n), out(n);
  std::vector<int> rounds;
  for (int round = 0; round < 16; round++) rounds.push_back(round);
  rounds = thinned(rounds);
  for (const Case& c : cases) {
    double worst = 0, worst_x = 0;
    Random random(seed());
    for (int round : rounds) {
      for (int64_t i = 0; i < n; i++) {
        x[i] = round % 2 ? random.range(-20, 20) : ao_float((uint32_t)random.next());
        if (round == 0) x[i] = random.range(0.7, 1.4);
      }
      const ao_unary_args args{out.data(), x.data(), n, AO_F32, c.op};
      CHECK_EQ(ao_cpu_unary(&args, ctx), 0);
      for (int64_t i = 0; i < n; i++) {
        if (fabs(x[i]) < c.low || fabs(x[i]) > c.high || isnan(x[i])) continue;
        const double e = ulps_from(out[i], c.exact(x[i]));
        if (e > worst) worst = e, worst_x = x[i];
      }
    }
    printf("  %-10s %.3f ulps at %.9g\n", c.name, worst, worst_x);
    CHECK_MSG(worst <= c.ulps, "%s: %.3f ulps at %.9g, stated %.2f", c.name, worst, worst_x, c.ulps);
    CHECK(out.ok());
  }
}

TEST(special_values) {
  Context ctx(1);
  const float special[] = {0.0f,     -0.0f,    INFINITY, -INFINITY, NAN,  1e-45f, -1e-45f, 88.72284f,
                           88.7229f, -103.97f, -104.5f,  0.5f,      1.5f, 2.5f,   -0.5f,   8388609.0f};
  for (const Case& c : cases) {
    for (float x : special) {
      if (isinf(x) &&
          (c.op == ao::SIN || c.op == ao::COS || c.op == ao::SILU || c.op == ao::GELU || c.op == ao::GELU_TANH))
        continue;
      float out = 0;
      const ao_unary_args args{&out, &x, 1, AO_F32, c.op};
      CHECK_EQ(ao_cpu_unary(&args, ctx), 0);
      const double exact = isnan(x) ? NAN : c.exact(x);
      const bool close = ulps_from(out, exact) <= c.ulps ||
                         (c.op >= ao::SIGMOID && c.op <= ao::GELU_TANH && fabs(out - exact) < 1e-37);
      CHECK_MSG(close, "%s(%.9g) = %.9g, not %.9g", c.name, x, out, exact);
      if (exact == 0 && c.op != ao::GELU && c.op != ao::SILU && c.op != ao::GELU_TANH && c.op != ao::RELU &&
          c.op != ao::SIGN)
        CHECK_MSG(signbit(out) == signbit(exact), "%s(%.9g): sign of zero", c.name, x);
    }
  }
}

AO_TEST_MAIN()
