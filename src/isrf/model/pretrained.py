"""A T5 of transformers: of sizes in the settings, or somebody else's (a folder, or a name on the hub).

Knows nothing about what is done with it.
"""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from transformers import AutoConfig, T5Config, T5ForConditionalGeneration

from isrf.core.config import ModelSettings
from isrf.core.errors import IsrfError, out_of_memory
from isrf.core.model_folders import check_model_folder
from isrf.model.atomic_generator import sizes_of


def config_of(settings: ModelSettings) -> T5Config:
    """A T5 of the sizes in the settings. Raises IsrfError where the width is no multiple of the heads."""
    sizes = sizes_of(settings)
    return T5Config(
        vocab_size=1,  # tokens enter as embeddings: the T5's own table is never read
        d_model=sizes.width,
        d_kv=sizes.width // sizes.heads,
        num_heads=sizes.heads,
        d_ff=4 * sizes.width,
        num_layers=sizes.encoder_layers,
        num_decoder_layers=sizes.decoder_layers,
        dropout_rate=sizes.dropout,
        use_cache=False,
        pad_token_id=0,
        eos_token_id=None,
        decoder_start_token_id=0,
    )


def pretrained(checkpoint: str | Path, dropout: float) -> T5ForConditionalGeneration:
    """The T5 of a folder or hub name. Raises IsrfError where there is none."""
    if Path(checkpoint).is_dir():
        check_model_folder(Path(checkpoint))
    try:
        # without the last the library asks on the terminal whether to run what it found
        config = AutoConfig.from_pretrained(str(checkpoint), dropout_rate=dropout, trust_remote_code=False)
        if config.model_type != "t5":
            raise IsrfError(f"{checkpoint}: is a {config.model_type}; the writer needs a T5")
        return T5ForConditionalGeneration.from_pretrained(
            str(checkpoint), config=config, use_safetensors=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        if out_of_memory(error) is not None:
            raise
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise IsrfError(f"{checkpoint}: no T5 checkpoint could be read from there ({first})") from None
