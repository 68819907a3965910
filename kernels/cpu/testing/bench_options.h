// What every benchmark's command line takes: [--threads N] [--only TEXT] [--rounds N] [--json].
#pragma once
#include <stdio.h>
#include <stdlib.h>

#include <string>

namespace ao_bench {

struct Options {
  int threads, rounds; // threads 0: those of the machine
  bool json = false;   // one line per case
  std::string only;    // the cases whose id holds it

  bool wants(const std::string& id) const { return id.find(only) != std::string::npos; }
};

// `defaults` with what the command line says; ends the program on what it does not know.
inline Options options_of(int argc, char** argv, const char* program, Options defaults) {
  for (int i = 1; i < argc; i++) {
    const std::string word = argv[i];
    const bool more = i + 1 < argc;
    if (word == "--json") {
      defaults.json = true;
    } else if (word == "--threads" && more) {
      defaults.threads = atoi(argv[++i]);
    } else if (word == "--rounds" && more) {
      defaults.rounds = atoi(argv[++i]);
    } else if (word == "--only" && more) {
      defaults.only = argv[++i];
    } else {
      fprintf(stderr, "%s [--threads N] [--only TEXT] [--rounds N] [--json]\n", program);
      exit(2);
    }
  }
  return defaults;
}

} // namespace ao_bench
