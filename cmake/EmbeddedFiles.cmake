# flashblock_embed_files(<folder> <function>=<file>...): embedded_files.cpp in the build folder. It defines functions
# without parameters that headers of <folder> declare; each returns the text of a file as a std::string_view. Where an
# HTML file names a style sheet or a script by a relative path, that file takes its place: the page opens from the
# source tree, and needs no other file in the program.

# The text of a file; CMake runs again when it changes.
function(flashblock_read_file file result)
  get_filename_component(file ${file} ABSOLUTE)  # without .., which CMake would take for another file
  file(READ ${file} text)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  set(${result} "${text}" PARENT_SCOPE)
endfunction()

function(flashblock_embed_files folder)
  set(style "<link rel=\"stylesheet\" href=\"([^\":]+)\">")
  set(script "<script src=\"([^\":]+)\"></script>")
  set(functions)
  foreach(entry ${ARGN})
    string(REGEX MATCH "^(.+)=(.+)$" entry ${entry})
    set(function ${CMAKE_MATCH_1})
    flashblock_read_file(${CMAKE_MATCH_2} content)
    foreach(kind style script)
      if(content MATCHES "${${kind}}")
        set(reference ${CMAKE_MATCH_0})
        flashblock_read_file(${CMAKE_MATCH_1} part)
        string(REPLACE "${reference}" "<${kind}>\n${part}</${kind}>" content "${content}")
      endif()
    endforeach()
    string(APPEND functions "std::string_view ${function}();\n\nstd::string_view ${function}() {\n"
           "  static constexpr std::string_view text = R\"--flashblock--(${content})--flashblock--\";\n"
           "  return text;\n}\n\n")
  endforeach()
  string(CONCAT source "// Made by CMake from files of ${folder}/.\n#include <string_view>\n\n"
         "namespace flashblock {\n\n${functions}}  // namespace flashblock\n")
  file(CONFIGURE OUTPUT embedded_files.cpp CONTENT "@source@" @ONLY)
endfunction()
