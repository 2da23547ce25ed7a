#!/bin/bash
# A training of the demo model: decoder, transformer, judgement, on all GPUs of the machine. From the tree's root:
#   setsid scripts/train/run.sh SECONDS [FROM] < /dev/null > /dev/null 2>&1 &
# SECONDS (1480): from now until everything is written. FROM: a folder with what collect.sh has saved of an earlier part
# of this run; its schedules go on. START=FOLDER: weights to begin with, transformer-?, umt5, encoder, decoder
# (.safetensors), their spiece.model, perhaps a classifier (default: ../../assets/demo and vae.safetensors here).
# DECODER=SECONDS, WIDTHS="16 48 96 96": of the decoder; 0 seconds: it stays as it is. TEXT=SECONDS: of the text encoder
# alone, beside the decoder (150; 0: it stays as it is). STORY=SECONDS: of the story model, at the end (0).
# Working folder /tmp/go (GO=...): status.txt, text.log, model.log, vae.log, story.log, judge.log, text/, model/, vae/,
# story/, judged/.
# `touch /tmp/go/stop`: ends the transformer (its last save counts) and begins with what comes next, in the time left.
SECONDS_IN_ALL=${1:-1480} FROM=${2:-} START=${START:+$(readlink -f "$START")}
GO=${GO:-/tmp/go} TREE=${TREE:-$PWD} PYTHON=${PYTHON:-python3} MORE=${MORE:-}   # MORE=--toy: a rehearsal on a CPU
BEGAN=$SECONDS
mkdir -p "$GO"; rm -f "$GO/stop" "$GO/finished"
if [ -n "$FROM" ]; then
  mkdir -p "$GO/from" && cp "$FROM"/*.safetensors "$GO/from/"; tar -C "$GO/from" -xf "$FROM/rest.tar"
  FROM=$GO/from
fi
# The tree is copied, so that it may change while this runs.
if [ ! -d "$GO/tree" ]; then
  mkdir -p "$GO/tree/tests/data" && cp -r "$TREE/scripts" "$TREE/assets" "$GO/tree/" && \
    cp -r "$TREE/tests/data/story" "$GO/tree/tests/data/"
fi
cd "$GO/tree/scripts/train" || exit 1
export WORLD_TABLES=${WORLD_TABLES:-/tmp/world_tables} PYTHONUNBUFFERED=1
gpus=${GPUS:-$(nvidia-smi -L 2>/dev/null | grep -c .)}
say() { echo "[$((SECONDS - BEGAN))] $*" >> "$GO/status.txt"; }
left() { echo $((SECONDS_IN_ALL - (SECONDS - BEGAN))); }
# How far a trainer's schedule was in its last logged step: progress_of WORD FILE, WORD: one that its lines alone have
progress_of() { grep -h "$1" "$2" 2>/dev/null | grep -o 'progress [0-9.]*' | tail -n 1 | cut -d' ' -f2; }
MODEL_LINES='x0 error' VAE_LINES=steepness
libraries='import torch, sentencepiece, safetensors, numpy, PIL; print("torch", torch.__version__)'
say "run.sh $* | $gpus GPUs | from ${FROM:-${START:-assets/demo}} | $($PYTHON -c "$libraries" 2>&1 | tail -n 1)"

# A trainer on all GPUs.
launch() {
  if [ "$gpus" -ge 2 ]; then
    $PYTHON -m torch.distributed.run --standalone --nproc-per-node "$gpus" "$@"
  else
    $PYTHON "$@"
  fi
}

# ---- shares of the time
JUDGE=${JUDGE:-75} STORY=${STORY:-0} DECODER=${DECODER:-$((gpus >= 2 ? 220 : 300))}
TRANSFORMER=$((SECONDS_IN_ALL - JUDGE - DECODER - STORY - 15))
say "decoder $DECODER s, transformer $TRANSFORMER s, judgement $JUDGE s, story model $STORY s"

# ---- what there is to go on from
mkdir -p "$GO/model" "$GO/vae"
model_from=${START:-../../assets/demo} part=0
vae_from=${START:-$PWD/vae.safetensors} vae_part=${VAE_PART:-0.5}
[ -z "$START" ] || cp "$START/classifier.safetensors" "$GO/model/" 2>/dev/null
if [ -n "$FROM" ]; then
  if [ -f "$FROM/transformer-1.safetensors" ]; then
    model_from=$FROM part=$(progress_of "$MODEL_LINES" "$FROM/logs.txt"); part=${part:-0}
  fi
  if [ -f "$FROM/decoder.safetensors" ]; then
    vae_from=$FROM progress=$(progress_of $VAE_LINES "$FROM/logs.txt"); vae_part=${progress:-$vae_part}
  fi
  # so that they count if their schedules were at their ends
  cp "$FROM"/transformer-?.safetensors "$FROM/umt5.safetensors" "$FROM/classifier.safetensors" "$GO/model/" 2>/dev/null
  cp "$FROM"/*coder.safetensors "$GO/vae/" 2>/dev/null
fi

train_transformer() {  # SECONDS; once more from the last save if it dies
  local until=$((SECONDS + $1)) from=$model_from begin=$part text= pid code
  if [ "$part" = 0 ] && [ -f "$GO/text/umt5.safetensors" ]; then text="--text $GO/text"; fi
  while :; do
    local seconds=$((until - SECONDS))
    [ $seconds -gt 60 ] || [ -n "$MORE" ] || { say "too little time for the transformer: $seconds s"; return 1; }
    $PYTHON -c "exit(not $begin < 0.97)" || { say "the transformer's schedule is at its end"; return 0; }
    launch train_transformer.py "$GO/model" --vae "$vae_from" --seconds $seconds --resume "$from" $text \
      --part "$begin" 1 --reading-until 0.3 --own-from 0.5 --judge ${JUDGED:-24 20} $MORE >> "$GO/model.log" 2>&1 &
    pid=$!
    while kill -0 $pid 2>/dev/null; do
      if [ -f "$GO/stop" ]; then kill $pid; wait $pid 2>/dev/null; say "transformer stopped by hand"; return 0; fi
      sleep 1
    done
    wait $pid; code=$?
    say "transformer: exit $code"
    [ $code = 0 ] && return 0
    if [ -f "$GO/model/transformer-1.safetensors" ]; then
      grep -q '\] saved$' "$GO/model.log" && return 0    # trained, saved; the judgement failed
      mkdir -p "$GO/model_again"
      cp "$GO"/model/transformer-?.safetensors "$GO/model/umt5.safetensors" "$GO/model_again/"
      from=$GO/model_again text=; begin=$(progress_of "$MODEL_LINES" "$GO/model.log"); begin=${begin:-$part}
    fi
    again=$((${again:-0} + 1)); [ $again -le 3 ] || return 1
  done
}

train_decoder() {  # SECONDS; once more from the last save if it dies
  local until=$((SECONDS + $1)) from=$vae_from begin=$vae_part code tries=0
  while :; do
    local seconds=$((until - SECONDS))
    $PYTHON -c "exit(not $begin < 0.97)" || { say "the decoder's schedule is at its end"; return 0; }
    [ $seconds -gt 50 ] || [ -n "$MORE" ] || { say "too little time for the decoder: $seconds s"; return 1; }
    launch train_vae.py "$GO/vae" --seconds $seconds --resume "$from" --decoder-only ${WIDTHS:+--decoder $WIDTHS} \
      --part "$begin" 1 --rate 3e-3 --clips 448 --no-classifier $MORE >> "$GO/vae.log" 2>&1
    code=$?
    say "decoder: exit $code"
    [ $code = 0 ] && return 0
    grep -q '\] saved after' "$GO/vae.log" && return 0   # trained, saved; the judgement failed
    if [ -f "$GO/vae/decoder.safetensors" ]; then
      mkdir -p "$GO/vae_again" && cp "$GO"/vae/*coder.safetensors "$GO/vae_again/"
      from=$GO/vae_again; begin=$(progress_of $VAE_LINES "$GO/vae.log"); begin=${begin:-$vae_part}
    fi
    tries=$((tries + 1)); [ $tries -le 3 ] || return 1
  done
}

train_text() {  # SECONDS; the transformer begins with this encoder
  $PYTHON train_text.py "$GO/text" --seconds "$1" --resume "$model_from" ${MORE:+--batch 16} >> "$GO/text.log" 2>&1
  say "text encoder: exit $?"
}

train_story() {  # SECONDS; a further run from the published weights, with the rules as they are now
  $PYTHON train_story.py "$GO/story" --seconds "$1" --rate 0.8 --seed 12 \
    --start ../../assets/story/model.safetensors --tokenizer ../../assets/story/tokenizer.json \
    --wishes ../../tests/data/story/wishes.json >> "$GO/story.log" 2>&1
  say "story: exit $?"
}

TEXT=${TEXT:-150} beside=
if [ "$part" = 0 ] && [ "$TEXT" != 0 ]; then train_text "$TEXT" & beside=$!; fi
[ "$DECODER" = 0 ] || train_decoder "$DECODER"
[ -z "$beside" ] || wait $beside
train_transformer $(($(left) - JUDGE - STORY))

# ---- judgement of both together
vae=$vae_from
if [ -f "$GO/vae/decoder.safetensors" ]; then
  vae=$GO/vae
fi
judge=${JUDGED_LAST:-72 80}
[ "$(left)" -lt 50 ] && [ -z "$MORE" ] && judge="36 40"
[ "$(left)" -lt 25 ] && [ -z "$MORE" ] && judge=
if [ -n "$judge" ] && [ -f "$GO/model/transformer-1.safetensors" ]; then
  CUDA_VISIBLE_DEVICES=0 $PYTHON evaluate.py "$GO/judged" --vae "$vae" --model "$GO/model" --videos ${judge% *} \
    --blocks ${judge#* } > "$GO/judge.log" 2>&1
  say "judgement of $judge: exit $?"
else
  say "no time for the judgement of the whole: $(left) s"
fi
[ "$STORY" = 0 ] || train_story $(($(left) - 5))
say "finished"; touch "$GO/finished"
