// The native kernels need a C++20 compiler and CMake, which npm cannot give; what is missing is named as Debian's package.
import { works } from './run.mjs';

/** @returns {{ missing: string[], fix: string }} */
export function compilers() {
  const cxx = process.env['CXX'] ?? 'g++';
  const missing = [];
  const packages = [];
  if (!works(cxx) && !(process.env['CXX'] === undefined && works('c++'))) {
    missing.push(`a C++ compiler (${cxx})`);
    packages.push('g++');
  }
  if (!works('cmake')) {
    missing.push('CMake (cmake)');
    packages.push('cmake');
  }
  if (packages.length && !works('ninja') && !works('make')) packages.push('make');
  return { missing, fix: `apt-get install ${packages.join(' ')}` };
}
