#include "libraries/search.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

namespace ao {
namespace {

std::vector<std::string> split(const char* text, char at) {
  std::vector<std::string> parts;
  std::string part;
  for (; text && *text; text++) {
    if (*text != at) {
      part += *text;
      continue;
    }
    if (!part.empty()) parts.push_back(part);
    part.clear();
  }
  if (!part.empty()) parts.push_back(part);
  return parts;
}

std::vector<std::string> entries(const std::string& folder) {
  std::vector<std::string> names;
  if (DIR* dir = opendir(folder.c_str())) {
    while (const dirent* entry = readdir(dir))
      if (entry->d_name[0] != '.') names.push_back(entry->d_name);
    closedir(dir);
  }
  return names;
}

// prefix/lib/python3.x/site-packages/nvidia/<package>/lib
void add_python(std::vector<std::string>* folders, const std::string& prefix) {
  for (const std::string& python : entries(prefix + "/lib")) {
    if (python.rfind("python3", 0) != 0) continue;
    for (const char* packages : {"/site-packages", "/dist-packages"}) {
      const std::string nvidia = prefix + "/lib/" + python + packages + "/nvidia";
      for (const std::string& package : entries(nvidia)) folders->push_back(nvidia + "/" + package + "/lib");
    }
  }
}

// The environment of the python3 that PATH finds: its folder's parent; "" without one.
std::string python_prefix() {
  for (const std::string& folder : split(getenv("PATH"), ':')) {
    if (access((folder + "/python3").c_str(), X_OK) != 0) continue;
    const std::string prefix = folder + "/..";
    return access((prefix + "/pyvenv.cfg").c_str(), R_OK) == 0 ? prefix : "";
  }
  return "";
}

} // namespace

std::vector<std::string> library_candidates(const std::string& soname, const std::vector<std::string>& prefixes) {
  std::vector<std::string> folders = split(getenv("AO_CUDA_LIBRARY_PATH"), ':');
  for (const char* name : {"CUDA_HOME", "CUDA_PATH"})
    if (const char* home = getenv(name); home && *home)
      folders.insert(folders.end(), {std::string(home) + "/lib64", std::string(home) + "/lib"});
  folders.insert(folders.end(), {"/usr/local/cuda/lib64", "/usr/local/cuda/lib"});
  for (const char* name : {"VIRTUAL_ENV", "CONDA_PREFIX"})
    if (const char* prefix = getenv(name); prefix && *prefix) add_python(&folders, prefix);
  if (const std::string prefix = python_prefix(); !prefix.empty()) add_python(&folders, prefix);
  for (const std::string& prefix : prefixes) add_python(&folders, prefix);
  std::vector<std::string> files;
  for (const std::string& folder : folders) {
    const std::string file = folder + "/" + soname;
    if (access(file.c_str(), R_OK) == 0) files.push_back(file);
  }
  files.push_back(soname);
  return files;
}

Opened open_library(const std::string& name, const std::vector<int>& majors) {
  Opened opened;
  std::string known;
  for (int major : majors) {
    const std::string soname = "lib" + name + ".so." + std::to_string(major);
    known += (known.empty() ? "" : ", ") + soname;
    for (const std::string& file : library_candidates(soname, {"/usr", "/usr/local"})) {
      if ((opened.handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL))) {
        opened.file = file;
        return opened;
      }
    }
  }
  opened.why = name + ": none of " + known +
               " opens; other major versions are not known to this build. Set AO_CUDA_LIBRARY_PATH to its folder";
  return opened;
}

} // namespace ao
