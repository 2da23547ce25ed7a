#include "weights/pickle_calls.h"

#include <algorithm>

namespace flashblock {
namespace {

/// Modules of which nothing belongs in a checkpoint, with all that is in them.
constexpr std::string_view kModules[] = {"_aix_support", "_osx_support",
                                         "_pickle",      "_posixsubprocess",
                                         "_thread",      "aiohttp",
                                         "asyncio",      "bdb",
                                         "cProfile",     "cloudpickle",
                                         "code",         "codeop",
                                         "commands",     "ctypes",
                                         "dill",         "distutils",
                                         "doctest",      "ensurepip",
                                         "ftplib",       "http",
                                         "httplib",      "idlelib",
                                         "imaplib",      "imp",
                                         "importlib",    "IPython",
                                         "lib2to3",      "linecache",
                                         "marshal",      "multiprocessing",
                                         "nt",           "ntpath",
                                         "os",           "pdb",
                                         "pickle",       "pip",
                                         "pkgutil",      "popen2",
                                         "posix",        "posixpath",
                                         "profile",      "pty",
                                         "py_compile",   "pydoc",
                                         "requests",     "rlcompleter",
                                         "runpy",        "shelve",
                                         "shlex",        "shutil",
                                         "signal",       "site",
                                         "smtplib",      "socket",
                                         "socketserver", "sqlite3",
                                         "ssl",          "subprocess",
                                         "sys",          "telnetlib",
                                         "tempfile",     "threading",
                                         "timeit",       "trace",
                                         "urllib",       "urllib2",
                                         "venv",         "webbrowser",
                                         "xmlrpc",       "zipimport"};

struct Function {
  std::string_view module, name;
};
/// Single functions of modules of which other parts are harmless.
constexpr Function kFunctions[] = {{"io", "open"},
                                   {"io", "FileIO"},
                                   {"io", "open_code"},
                                   {"_io", "open"},
                                   {"_io", "FileIO"},
                                   {"_io", "open_code"},
                                   {"operator", "attrgetter"},
                                   {"operator", "methodcaller"},
                                   {"_operator", "attrgetter"},
                                   {"_operator", "methodcaller"},
                                   {"platform", "popen"},
                                   {"types", "CodeType"},
                                   {"types", "FunctionType"},
                                   {"types", "LambdaType"},
                                   {"uuid", "_get_command_stdout"},
                                   {"numpy.testing._private.utils", "runstring"},
                                   {"torch", "load"},
                                   {"torch.serialization", "load"},
                                   {"torch.storage", "_load_from_bytes"}};
/// Modules that others import.
constexpr std::string_view kImported[] = {"builtins", "ctypes", "importlib", "os",  "pickle",    "posix",
                                          "runpy",    "shutil", "socket",    "sys", "subprocess"};
/// Packages whose purpose is to fetch or to run code.
constexpr std::string_view kPackages[] = {"logging.config", "torch._inductor", "torch.hub", "torch.utils.bottleneck",
                                          "torch.utils.cpp_extension"};
constexpr std::string_view kBuiltins[] = {"__import__", "apply", "breakpoint", "compile", "delattr", "eval",  "exec",
                                          "execfile",   "exit",  "file",       "globals", "help",    "input", "locals",
                                          "open",       "quit",  "raw_input",  "reload",  "setattr", "vars"};
constexpr std::string_view kAttributes[] = {
    "Popen", "__builtins__", "__code__", "__getattribute__", "__globals__", "__import__", "__subclasses__",
    "eval",  "exec",         "execv",    "execve",           "popen",       "system"};

bool is_in(std::string_view word, const auto& list) { return std::ranges::find(list, word) != std::ranges::end(list); }

bool is_within(std::string_view module, std::string_view package) {
  return module.starts_with(package) && (module.size() == package.size() || module[package.size()] == '.');
}

}  // namespace

bool runs_code(std::string_view module, std::string_view name) {
  if (module == "builtins" || module == "__builtin__" || module == "__builtins__")
    return is_in(name.substr(0, name.find('.')), kBuiltins);
  // "os" of another module is that module's import of it.
  if (is_in(module.substr(0, module.find('.')), kModules) || is_in(name.substr(0, name.find('.')), kImported))
    return true;
  const auto within = [&](std::string_view package) { return is_within(module, package); };
  if (std::ranges::any_of(kPackages, within)) return true;
  return std::ranges::any_of(kFunctions,
                             [&](const Function& known) { return known.module == module && known.name == name; });
}

bool leads_to_code(std::string_view attribute) { return is_in(attribute, kAttributes); }

}  // namespace flashblock
