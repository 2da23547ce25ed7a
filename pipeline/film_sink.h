// Where the frame blocks of a film on disk go, and where they are found again. Private to render_film.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "media/contact_sheet.h"
#include "media/film_writer.h"
#include "pipeline/film_record.h"
#include "pipeline/frame_sink.h"
#include "pipeline/render_film.h"

namespace flashblock {

/// Writes the pieces of one film with what is needed to go on after them, its contact sheet and its record.
class FilmSink : public FrameSink {
 public:
  /// Takes NAME.parts. A resumed film must be the one that is there. All arguments outlive the sink.
  /// Throws: ConfigError, naming what differs; MediaError.
  FilmSink(const FilmSetup& setup, const FilmOrder& order, FilmRecorder& recorder, FilmObserver& observer);
  /// A folder without pieces is of no use to anyone, and goes.
  ~FilmSink() override;

  /// The blocks that are finished, the given start's first: their latents, as RenderSession takes them. A block that
  /// does not fit is forgotten with all behind it. Call it once, before anything is written.
  /// Throws: ConfigError if the film is to be recorded and was begun without.
  std::vector<at::Tensor> take_up(const FilmInputs& inputs, at::ScalarType dtype);

  /// Prompts that took effect while an earlier run rendered the film, by block.
  const std::vector<TakenPrompt>& taken_prompts() const { return taken_; }
  /// Keeps one with the film, synced. May be called while another thread writes blocks.
  void keep_prompt(const TakenPrompt& prompt);

  void write(const RenderedBlock& block) override;

  /// Joins the pieces, tells the observer, and removes them. Throws: ConfigError if a file that the film was made from
  /// is not the one it was begun with; MediaError.
  void finish(const FilmResult& result, const std::map<std::string, std::string>& tags);

  const FilmProgress& progress() const { return progress_; }

 private:
  void claim_folder();
  void keep_identity();
  /// The latents of piece `number`; undefined if its note does not fit the film.
  at::Tensor fitting_latents(const PieceNote& note, int64_t number, const FilmInputs& inputs,
                             at::ScalarType dtype) const;
  void check_files() const;

  const FilmSetup& setup_;
  const RenderConfig& config_;
  const FilmOrder& order_;
  FilmRecorder& recorder_;
  FilmObserver& observer_;
  FilmWriter writer_;
  ContactSheet sheet_;
  FilmProgress progress_;
  FilmIdentity identity_;  ///< of the film on disk
  std::vector<TakenPrompt> taken_;
  bool checksums_kept_ = false;  ///< in film.json
  bool joined_ = false;
};

}  // namespace flashblock
