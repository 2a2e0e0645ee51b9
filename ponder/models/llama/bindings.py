"""The one place that speaks ctypes: a model file and a context, with types.

Everything goes through the low-level functions of llama-cpp-python; its ``Llama``
class is not used, because it generates one sequence at a time.
"""

import ctypes
import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ponder.errors import EngineClosed, MissingExtra, ModelError, ModelFileError

Row = NDArray[np.float32]
"""Logits of one position, ``[n_vocab]``; a view that the next decode overwrites."""

_WARNING = 2
_log: deque[str] = deque(maxlen=8)
_loaded: list[Any] = []


class DecodeError(ModelError):
    """llama.cpp refused a batch."""

    def __init__(self, code: int) -> None:
        """Keep the code that ``llama_decode`` returned."""
        self.code = code
        super().__init__(f"llama_decode failed with code {code}. {_last_log()}".strip())


def library() -> Any:
    """Return the ``llama_cpp`` module, initialised and with its log caught.

    Raises:
        MissingExtra: llama-cpp-python is not installed.
    """
    if _loaded:
        return _loaded[0]
    _calm_openmp()
    try:
        import llama_cpp
    except ImportError as error:
        raise MissingExtra(
            "llama-cpp-python", "local", "Running a GGUF model"
        ) from error
    # The callback must outlive every call into the library, so it is kept here.
    callback = llama_cpp.llama_log_callback(_catch_log)
    llama_cpp.llama_log_set(callback, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    _loaded.extend((llama_cpp, callback))
    return llama_cpp


def _calm_openmp() -> None:
    # The threads of libgomp wait by spinning for milliseconds. On a machine with other
    # work that takes the cores from the thread they wait for, and a decode ten times
    # as long; a short spin costs nothing on a quiet one. Read when libgomp loads.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")


def _catch_log(level: int, text: bytes, _: Any) -> None:
    if level >= _WARNING and (line := text.decode("utf-8", "replace").strip()):
        _log.append(line)


def _last_log() -> str:
    return f"llama.cpp says: {' | '.join(list(_log)[-3:])}" if _log else ""


def _refuse_recurrent(lib: Any, model: Any, path: Path) -> None:
    """Refuse a model whose memory cannot be divided at a token.

    Raises:
        ModelFileError: It is one; it is freed.
    """
    if lib.llama_model_is_recurrent(model) or lib.llama_model_is_hybrid(model):
        lib.llama_model_free(model)
        raise ModelFileError(
            f"'{path}' is a recurrent or hybrid model (Mamba, RWKV, LFM2 ...): its "
            "branches cannot share the beginning of a prompt, which this engine rests "
            "on. Take a transformer, or serve the file with llama-server and use "
            "openai/NAME with api_base=."
        )


class Weights:
    """A loaded model file and its vocabulary."""

    def __init__(
        self, path: str | Path, *, n_gpu_layers: int | None = None, repack: bool = False
    ) -> None:
        """Load a model.

        Args:
            path: A GGUF file.
            n_gpu_layers: Layers to put on a GPU, -1 for all; ``None`` is all where
                the installed build can, else none.
            repack: Let llama.cpp rearrange the weights for its narrow kernels. On
                the CPU this makes 1 to 7 rows per step faster, and prompts and more
                than 8 rows slower (numbers in ``docs/design/engine.md``).

        Raises:
            MissingExtra: llama-cpp-python is not installed.
            ModelFileError: The file is missing, not GGUF, or damaged.
        """
        self.path, self.repack = Path(path), repack
        _check_magic(self.path)
        lib = self._lib = library()
        self.on_gpu = bool(lib.llama_supports_gpu_offload()) and n_gpu_layers != 0
        params = lib.llama_model_default_params()
        params.n_gpu_layers = (-1 if n_gpu_layers is None else n_gpu_layers) * int(
            self.on_gpu
        )
        params.use_extra_bufts = repack
        _log.clear()
        self._model = lib.llama_model_load_from_file(os.fsencode(self.path), params)
        if not self._model:
            raise ModelFileError(
                f"'{self.path}' cannot be loaded: it is truncated, damaged, or of a "
                f"kind that this llama.cpp does not know. Download it again (`ponder "
                f"models pull`) or check its size and checksum. {_last_log()}"
            )
        _refuse_recurrent(lib, self._model, self.path)
        self.vocab = lib.llama_model_get_vocab(self._model)
        self.n_vocab = int(lib.llama_vocab_n_tokens(self.vocab))
        self.n_ctx_train = int(lib.llama_model_n_ctx_train(self._model))
        self.n_embd = int(lib.llama_model_n_embd(self._model))
        self.n_layer = int(lib.llama_model_n_layer(self._model))
        self.size = int(lib.llama_model_size(self._model))
        self.eog = frozenset(
            t for t in range(self.n_vocab) if lib.llama_vocab_is_eog(self.vocab, t)
        )
        self._pieces: dict[int, bytes] = {}

    @property
    def chat_template(self) -> str | None:
        """The jinja template in the file, ``None`` if it has none."""
        text = self._lib.llama_model_chat_template(self._model, None)
        return None if text is None else bytes(text).decode("utf-8", "replace")

    def special_text(self, which: str) -> str:
        """Return the text of the ``"bos"`` or ``"eos"`` token, empty if none."""
        token = int(getattr(self._lib, f"llama_vocab_{which}")(self.vocab))
        if token < 0:
            return ""
        return bytes(self._lib.llama_vocab_get_text(self.vocab, token)).decode()

    def tokenize(
        self, text: str, *, special: bool = False, bos: bool = False
    ) -> list[int]:
        """Split text into tokens.

        Args:
            text: Any text.
            special: Read the names of control tokens as those tokens.
            bos: Add what the vocabulary adds at a beginning (BOS).

        Returns:
            Token ids.
        """
        self._require_open()
        data = text.encode("utf-8")
        size = len(data) + 8
        while True:
            out = (ctypes.c_int32 * size)()
            n = self._lib.llama_tokenize(
                self.vocab, data, len(data), out, size, bos, special
            )
            if n >= 0:
                return list(out[:n])
            size = -n

    def piece(self, token: int) -> bytes:
        """Return the bytes that a token stands for; control tokens have none."""
        known = self._pieces.get(token)
        if known is None:
            known = self._pieces[token] = self._read_piece(token)
        return known

    def _read_piece(self, token: int) -> bytes:
        self._require_open()
        buffer = ctypes.create_string_buffer(64)
        while True:
            n = self._lib.llama_token_to_piece(
                self.vocab, token, buffer, len(buffer), 0, False
            )
            if n >= 0:
                return buffer.raw[:n]
            buffer = ctypes.create_string_buffer(-n)

    def _require_open(self) -> None:
        if not self._model:
            raise EngineClosed(f"The model '{self.path}' was closed.")

    def close(self) -> None:
        """Free the weights."""
        if self._model:
            self._lib.llama_model_free(self._model)
            self._model = None


def _attention(flash: bool | None, on_gpu: bool) -> int:
    """Return what llama.cpp calls the choice: 1 flash, 0 plain, -1 its own."""
    if flash is None:
        return -1 if on_gpu else 1
    return int(flash)


def _check_magic(path: Path) -> None:
    if not path.is_file():
        raise ModelFileError(
            f"There is no model file '{path}'. `ponder models` lists the known models, "
            "`ponder models pull NAME` downloads one."
        )
    with path.open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        raise ModelFileError(
            f"'{path}' is not a GGUF file (it begins with {magic!r}, not b'GGUF'). "
            "Convert the model to GGUF or download it in that format."
        )


class Context:
    """One llama.cpp context with a unified cache of keys and values."""

    def __init__(
        self,
        weights: Weights,
        *,
        n_ctx: int,
        n_seq_max: int,
        n_threads: int,
        n_batch: int = 512,
        max_outputs: int = 128,
        flash_attention: bool | None = None,
    ) -> None:
        """Allocate the cache and the batch.

        Args:
            weights: The model.
            n_ctx: Cells of the cache: tokens of all sequences together.
            n_seq_max: Most sequences at a time (llama.cpp allows up to 256).
            n_threads: CPU threads.
            n_batch: Most tokens in one decode.
            max_outputs: Most rows of logits from one decode; ``n_seq_max`` if more.
            flash_attention: Skips what a row does not see, so that branches cost their
                own tokens; plain attention multiplies every row with all cells in use,
                masked or not. By default on; on a GPU llama.cpp's choice.

        Raises:
            ModelError: llama.cpp cannot allocate it.
        """
        lib = self._lib = weights._lib
        params = lib.llama_context_default_params()
        params.n_ctx, params.n_seq_max = n_ctx, n_seq_max
        params.n_batch = params.n_ubatch = n_batch
        params.n_threads = params.n_threads_batch = n_threads
        # llama.cpp aborts the process if this is less than the sequences.
        max_outputs = params.n_outputs_max = max(max_outputs, n_seq_max)
        params.kv_unified, params.no_perf = True, True
        params.flash_attn_type = _attention(flash_attention, weights.on_gpu)
        _log.clear()
        self._ctx = lib.llama_init_from_model(weights._model, params)
        if not self._ctx:
            raise ModelError(
                f"llama.cpp cannot make a context of {n_ctx} tokens for "
                f"'{weights.path}'. A smaller n_ctx needs less memory. {_last_log()}"
            )
        self._memory = lib.llama_get_memory(self._ctx)
        self.n_ctx = int(lib.llama_n_ctx(self._ctx))
        self.n_seq_max = int(lib.llama_n_seq_max(self._ctx))
        self.n_batch, self.max_outputs = n_batch, max_outputs
        self.n_threads, self.flash_attention = n_threads, flash_attention
        self.tiled = not weights.on_gpu and params.flash_attn_type == 1
        self.n_vocab, self.n_embd = weights.n_vocab, weights.n_embd
        self._row_type = ctypes.c_float * self.n_vocab
        self._make_batch(n_batch)

    def _make_batch(self, n: int) -> None:
        # llama_batch points into numpy arrays, so that a batch of any size is
        # written with four assignments instead of four per row.
        lib = self._lib
        self._token = np.zeros(n, np.int32)
        self._pos = np.zeros(n, np.int32)
        self._n_seq = np.ones(n, np.int32)
        self._seq = np.zeros(n, np.int32)
        self._want = np.zeros(n, np.int8)
        self._seq_at = self._seq.ctypes.data + 4 * np.arange(n, dtype=np.uint64)
        fields = dict(lib.llama_batch._fields_)

        def point(array: NDArray[Any], field: str) -> Any:
            return ctypes.cast(array.ctypes.data, fields[field])

        self._batch = lib.llama_batch(
            n_tokens=0,
            token=point(self._token, "token"),
            embd=None,
            pos=point(self._pos, "pos"),
            n_seq_id=point(self._n_seq, "n_seq_id"),
            seq_id=point(self._seq_at, "seq_id"),
            logits=point(self._want, "logits"),
        )

    def decode(
        self,
        tokens: Sequence[int],
        positions: Sequence[int],
        sequences: Sequence[int],
        outputs: Sequence[bool],
    ) -> None:
        """Run the model over rows, each one token of one sequence.

        Args:
            tokens: Token of each row.
            positions: Its position in its sequence.
            sequences: Its sequence.
            outputs: Whether its logits are wanted.

        Raises:
            DecodeError: llama.cpp refused; code 1 means that cells are missing.
        """
        n = len(tokens)
        self._token[:n], self._pos[:n] = tokens, positions
        self._seq[:n], self._want[:n] = sequences, outputs
        self._batch.n_tokens = n
        if code := self._lib.llama_decode(self._ctx, self._batch):
            raise DecodeError(code)

    def logits(self, row: int) -> Row:
        """Return the logits of a row of the last decode, as a view."""
        pointer = self._lib.llama_get_logits_ith(self._ctx, row)
        return self._view(pointer, self._row_type)

    def _view(self, pointer: Any, kind: Any) -> Row:
        if not pointer:
            raise DecodeError(-1)
        address = ctypes.addressof(pointer.contents)
        return np.frombuffer(kind.from_address(address), np.float32)

    def embedding(self, row: int) -> Row:
        """Return the last hidden state of a row of the last decode, ``[n_embd]``."""
        pointer = self._lib.llama_get_embeddings_ith(self._ctx, row)
        return self._view(pointer, ctypes.c_float * self.n_embd)

    def want_embeddings(self, wanted: bool) -> None:
        """Make the coming decodes give hidden states too, or stop it."""
        self._lib.llama_set_embeddings(self._ctx, wanted)

    def fork(self, source: int, target: int, length: int) -> None:
        """Let ``target`` share the first ``length`` cells of ``source``."""
        self._lib.llama_memory_seq_cp(self._memory, source, target, 0, length)

    def trim(self, sequence: int, length: int) -> None:
        """Drop everything of ``sequence`` from position ``length`` on."""
        self._lib.llama_memory_seq_rm(self._memory, sequence, length, -1)

    def clear(self) -> None:
        """Forget all sequences."""
        self._lib.llama_memory_clear(self._memory, False)

    def close(self) -> None:
        """Free the context."""
        if self._ctx:
            self._lib.llama_free(self._ctx)
            self._ctx = None
