// Small Llamas to train from the beginning, by name: the fields of their config.json. The vocabulary is the tokenizer's.
export const PRESETS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'llama-1m': llama({ hidden_size: 128, intermediate_size: 384, num_hidden_layers: 4, num_attention_heads: 2 }),
  'llama-7m': llama({ hidden_size: 256, intermediate_size: 768, num_hidden_layers: 8, num_attention_heads: 4 }),
  'llama-30m': llama({ hidden_size: 512, intermediate_size: 1408, num_hidden_layers: 10, num_attention_heads: 8 }),
};

function llama(
  shape: { readonly num_attention_heads: number } & Readonly<Record<string, number>>,
): Record<string, unknown> {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    ...shape,
    num_key_value_heads: shape.num_attention_heads / 2,
    head_dim: 64,
    hidden_act: 'silu',
    max_position_embeddings: 512,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    initializer_range: 0.02,
    tie_word_embeddings: true,
    attention_bias: false,
    mlp_bias: false,
  };
}
