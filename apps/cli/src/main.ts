// ao: the program and its commands. A command's module, and with it the packages it needs, is loaded when it runs.
import { Argument, Command, Option } from 'commander';
import manifest from '../package.json' with { type: 'json' };
import { parseAlgorithms } from './algorithms.ts';
import { paint } from './color.ts';
import { DEVICES, parseDeviceMap } from './devices.ts';
import { exampleText } from './examples.ts';
import { EXIT_CODES, tell } from './exit.ts';
import { kvCache } from './kv-cache.ts';
import { number } from './number.ts';
import { samplingFlags, sequenceFlags } from './sampling.ts';
import { settings } from './settings.ts';
import { parseSize } from './size.ts';
import { trainingFlags } from './training/flags.ts';

const count = number(1, true);
const ids = (text: string) => text.split(',').map((id) => number(0, true)(id));
const collect = (value: string, all: readonly string[] = []) => [...all, value];

const scheme = () =>
  new Option('--scheme <name>', 'quantize every linear but lm_head, e.g. int8wo, int4wo-32, int8dq, 8da4w-32');
const rule = () =>
  new Option(
    '--rule <name=scheme>',
    'scheme of the modules that match: a name, glob or re:regex; none = leave; the first match wins; repeatable',
  ).argParser(collect);
const configFile = () =>
  new Option(
    '--config <file>',
    'schemes by module: { "model.layers.0.mlp.up_proj": "int4wo-32", ... }, or torchao’s JSON',
  );
const target = (c: Command): Command =>
  c
    .option('--target-bpw <bits>', 'a mix of schemes with so many bits per weight in the files', number(1, false))
    .option('--text <file>', 'a text that the mix is made for (default: by the errors of weights alone)')
    .option('--tokens <n>', 'how many tokens of the text (default: 256)', count)
    .option('--analysis <file>', 'what ao analyze -o wrote, instead of an analysis now');
const untie = () =>
  new Option('--untie', 'give a tied lm_head a tensor of its own, so that it and model.embed_tokens can have rules');
const json = () => new Option('--json', 'one JSON object on stdout and nothing else');
const threads = () => new Option('--threads <n>', 'CPU threads (default: what the machine grants)').argParser(count);
const device = () => new Option('--device <name>', 'where to run').choices(DEVICES).default('auto');
const dtype = () =>
  new Option(
    '--dtype <name>',
    'what activations, and weights that are not quantized, compute in; auto = the checkpoint’s',
  )
    .choices(['auto', 'float32', 'bfloat16', 'float16'])
    .default('float32');

const deviceMap = () =>
  new Option(
    '--device-map <map>',
    'auto = what the GPUs have no room for goes to the cpu, layer by layer; or a device for each module as JSON',
  ).argParser(parseDeviceMap);

function command(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .exitOverride()
    .configureOutput({ outputError: wrongUse(`ao help ${name}`) })
    .addHelpText('after', exampleText(name));
}

/** commander's complaint in one line, with where to read on. */
const wrongUse = (help: string) => (text: string) =>
  tell(
    `${text
      .trim()
      .replace(/^error: /, '')
      .replace(/[.]?\n/g, '. ')
      .replace(/[.]?$/, '.')} Fix: ${help} shows how.`,
  );

function runtimeOptions(c: Command): Command {
  return c
    .addOption(scheme())
    .addOption(rule())
    .addOption(untie())
    .addOption(dtype())
    .addOption(device())
    .addOption(deviceMap())
    .addOption(threads())
    .addOption(json());
}

export function program(): Command {
  const ao = new Command('ao').description('Quantize, run and measure Hugging Face models.').exitOverride();
  ao.version(manifest.version);
  ao.option('--verbose', 'on an error its stack and causes');
  ao.option('-q, --quiet', 'errors alone on stderr: no progress, no notes');
  ao.hook('preAction', () => {
    const { verbose = false, quiet = false } = ao.opts<{ verbose?: boolean; quiet?: boolean }>();
    Object.assign(settings, { verbose, quiet });
  });
  ao.configureHelp({ styleTitle: (title) => paint(title, 'bold', process.stdout), showGlobalOptions: true });
  ao.configureOutput({ outputError: wrongUse('ao help') });
  ao.addHelpText('after', `\nao help COMMAND shows examples. ${EXIT_CODES} NO_COLOR=1 turns colours off.`);
  ao.addHelpText(
    'after',
    '\nMODEL is a folder in Hugging Face’s layout, a hub id (org/name or org/name@revision), or stories-7m (bundled).',
  );

  target(
    command(ao, 'quantize', 'quantize a model, disk to disk, one tensor at a time')
      .argument('<model>')
      .addOption(scheme())
      .addOption(rule())
      .addOption(configFile()),
  )
    .addOption(untie())
    .option('-o, --output <folder>', 'where the quantized model goes')
    .option(
      '--algorithm <names>',
      'round by rotate, smoothquant, awq, gptq, autoround or hqq, several in this order: rotate,gptq; all but hqq load the whole model',
      parseAlgorithms,
    )
    .option(
      '--calibration <file>',
      'the text that smoothquant, awq, gptq and autoround see, never the one you evaluate on',
    )
    .option('--calibration-windows <n>', 'most windows of 512 tokens that are read of it', count, 32)
    .option('--dry-run', 'print what would be done and write nothing')
    .option('--overwrite', 'replace the model that the output folder holds')
    .addOption(device())
    .addOption(threads())
    .addOption(json())
    .action(async (model: string, options) => (await import('./commands/quantize.ts')).quantize(model, options));

  command(ao, 'convert', 'a model in another dtype, as floats again, or in files of another size, disk to disk')
    .argument('<model>')
    .requiredOption('-o, --output <path>', 'where the converted model goes')
    .option(
      '--to <format>',
      'safetensors; torchao: quantized weights as Python’s torchao loads them; gguf: a file for llama.cpp',
      'safetensors',
    )
    .option('--gguf-type <type>', 'of matrices: q4_0, q4_1, q8_0, q4_k, q6_k, bf16, f16 or f32')
    .addOption(
      new Option('--dtype <name>', 'what floating-point tensors become (default: they stay)').choices([
        'float32',
        'bfloat16',
        'float16',
      ]),
    )
    .option('--dequantize', 'make quantized weights floating point again')
    .option('--max-shard-size <size>', 'largest file, e.g. 2GB (default: 5GB)', parseSize)
    .option('--overwrite', 'replace the model that the output folder holds')
    .addOption(threads())
    .addOption(json())
    .action(async (model: string, options) => (await import('./commands/convert.ts')).convert(model, options));

  runtimeOptions(sequenceFlags(samplingFlags(command(ao, 'generate', 'write text'))))
    .argument('<model>')
    .option('--prompt <text>', 'text to continue; several are decoded together', collect)
    .addOption(new Option('--prompt-ids <ids>', 'token ids to continue, e.g. 1,2,3').argParser(ids).conflicts('prompt'))
    .option('--chat', 'put the prompt into the model’s chat template as a user’s turn')
    .option('--max-tokens <n>', 'most new tokens', count, 128)
    .option('--stop <text>', 'end before this text; repeatable', collect)
    .option('--ignore-eos', 'run on to --max-tokens')
    .addOption(kvCache())
    .action(async (model: string, options) => (await import('./commands/generate.ts')).generate(model, options));

  runtimeOptions(command(ao, 'embed', 'a vector for each text'))
    .argument('<model>', 'a BERT, MiniLM or BGE')
    .argument('[texts...]', 'the texts; without them, lines of stdin')
    .addOption(
      new Option(
        '--pooling <how>',
        'of hidden states (default: what the model’s modules.json says, else mean)',
      ).choices(['mean', 'cls']),
    )
    .option('--normalize', 'scale each vector to length 1 (default: what modules.json says)')
    .option('--no-normalize', 'leave vectors as long as they are')
    .option('--batch-size <n>', 'most texts at a time', count, 32)
    .option('--max-length <n>', 'cut texts to this many tokens', count)
    .action(async (model: string, texts: string[], options) =>
      (await import('./commands/embed.ts')).embed(model, texts, options),
    );

  const talk = command(ao, 'chat', 'talk with a model: typed, or piped in line by line; /help lists its commands');
  runtimeOptions(samplingFlags(talk))
    .argument('<model>')
    .option('--system <text>', 'the system prompt')
    .option('--template <file>', 'a chat template (Jinja) instead of the model’s own')
    .option('--load <file>', 'go on with a conversation that /save wrote')
    .option('--context <n>', 'most tokens of the conversation; then the oldest turns are left out', count)
    .option('--max-tokens <n>', 'most new tokens of a reply (default: 512)', count)
    .option('--stop <text>', 'end a reply before this text; repeatable', collect)
    .option('--prompt-lookup <n>', 'guess n tokens a call from earlier text; the reply stays the same', count)
    .option('--assistant <model>', 'guess tokens by a smaller model with the same tokenizer; the reply stays the same')
    .option('--assistant-scheme <name>', 'quantizes the assistant')
    .option('--assistant-tokens <n>', 'tokens that the assistant guesses a call', count)
    .addOption(kvCache())
    .action(async (model: string, options) => (await import('./commands/chat.ts')).chat(model, options));

  runtimeOptions(command(ao, 'eval', 'cross entropy and perplexity on a text, or a task of lm-evaluation-harness'))
    .argument('<model>')
    .option('--text <file>', 'the text, encoded as one string after the model’s BOS id')
    .option('--window <n>', 'tokens a window', count, 512)
    .option('--windows <n>', 'how many windows (default: all)', count)
    .addOption(
      new Option('--task <name>', 'acc and acc_norm, or perplexity by words and bytes')
        .choices(['hellaswag', 'wikitext'])
        .conflicts('text'),
    )
    .option('--data <file>', 'documents of the task as JSONL, in the columns of its data set on the hub')
    .option('--max-length <n>', 'most tokens that the task reads at a time (default: the model’s positions)', count)
    .option('--limit <n>', 'so many documents of the task (default: all)', count)
    .addOption(kvCache())
    .action(async (model: string, options) => (await import('./commands/eval.ts')).evaluate(model, options));

  trainingFlags(command(ao, 'train', 'train a new model from the beginning, on text'))
    .requiredOption(
      '--config-name <name>',
      'llama-1m, llama-7m or llama-30m, or a MODEL whose config.json describes the new one',
    )
    .option('--tokenizer-name <model>', 'whose tokenizer it reads with (default: the config’s, or stories-7m’s)')
    .action(async (options) => (await import('./commands/train.ts')).train(options));

  trainingFlags(command(ao, 'finetune', 'train a model on, on texts, instructions or conversations'))
    .argument('<model>')
    .option('--lora', 'train adapters of low rank, the model stays as it is; PEFT’s files are written')
    .addOption(
      new Option(
        '--qlora <scheme>',
        'adapters over a model that is quantized while it loads, e.g. int4wo-32',
      ).conflicts(['lora', 'qat']),
    )
    .option('--lora-r <n>', 'rank (default: 8)', count)
    .option('--lora-alpha <x>', 'adapters are scaled by alpha / r (default: 16)', number(0, false))
    .option('--lora-dropout <p>', 'share of an adapter’s inputs that training drops (default: 0)', number(0, false))
    .option('--lora-target-modules <names>', 'e.g. q_proj,v_proj (default: all-linear)')
    .option('--use-dora', 'train the rows’ lengths apart from their directions')
    .action(async (model: string, options) => (await import('./commands/finetune.ts')).finetune(model, options));

  command(ao, 'analyze', 'what schemes do to each layer: SQNR of weights and outputs, KL of the predictions')
    .argument('<model>')
    .option('--scheme <name>', 'a scheme to try; repeatable (default: weight-only ones of 2 to 8 bits)', collect)
    .option('--text <file>', 'a text to run (default: none, the errors of weights alone)')
    .option('--tokens <n>', 'how many tokens of the text (default: 256)', count)
    .addOption(
      new Option('--kl <how>', 'all: of each scheme; one: of the coarsest, the others scaled from it').choices([
        'all',
        'one',
        'none',
      ]),
    )
    .option('-o, --output <file>', 'keep the analysis, for --analysis of quantize and recommend')
    .addOption(device())
    .addOption(threads())
    .addOption(json())
    .action(async (model: string, options) => (await import('./commands/analyze.ts')).analyze(model, options));

  target(
    command(
      ao,
      'recommend',
      'a config that fits the memory and suits the work, or has so many bits per weight',
    ).argument('<model>'),
  )
    .option('--scheme <name>', 'a scheme that a mix may use; repeatable', collect)
    .option('--memory <size>', 'for weights, context and process, e.g. 2GB (default: this machine’s)', parseSize)
    .addOption(
      new Option('--task <name>', 'one text at a time, many, or vectors of texts (default: chat)').choices([
        'chat',
        'batch',
        'embed',
      ]),
    )
    .option('--context <n>', 'tokens of keys and values (default: what the model was made for, at most 4096)', count)
    .option('-o, --output <file>', 'where the config goes, to edit and give to ao quantize --config')
    .addOption(device())
    .addOption(threads())
    .addOption(json())
    .action(async (model: string, options) => (await import('./commands/recommend.ts')).recommend(model, options));

  command(ao, 'inspect', 'what a model is made of')
    .argument('<model>')
    .addOption(json())
    .action(async (model: string, options) => (await import('./commands/inspect.ts')).inspect(model, options));

  command(ao, 'pull', 'download a model into the cache that Python shares, and print its folder')
    .argument('<model>')
    .option('--revision <name>', 'branch, tag or commit (default: main)')
    .option('--include <pattern>', 'only paths that match, e.g. *.json; repeatable (default: what ao reads)', collect)
    .option('--exclude <pattern>', 'no paths that match; repeatable', collect)
    .addOption(json())
    .action(async (model: string, options) => (await import('./commands/pull.ts')).pull(model, options));

  command(ao, 'estimate', 'the memory that a model will take, before it is downloaded')
    .argument('<model>')
    .option('--scheme <name>', 'a scheme to compare, e.g. int4wo-32; repeatable', collect)
    .addOption(rule())
    .option('--context <n>', 'tokens of keys and values (default: what the model was made for, at most 4096)', count)
    .addOption(dtype())
    .option('--revision <name>', 'branch, tag or commit (default: main)')
    .addOption(json())
    .action(async (model: string, options) => (await import('./commands/estimate.ts')).estimate(model, options));

  runtimeOptions(command(ao, 'bench', 'tokens per second, bytes of weights, peak memory'))
    .argument('<model>')
    .option('--prompt-tokens <n>', 'tokens to read', count, 512)
    .option('--new-tokens <n>', 'tokens to write', count, 64)
    .option('--repeats <n>', 'runs; the median counts', count, 3)
    .action(async (model: string, options) => (await import('./commands/bench.ts')).bench(model, options));

  command(ao, 'launch', 'run a script as one process a GPU, or rank, with torchrun’s variables')
    .argument('<script>', 'a file that Node runs; it calls initProcessGroup of @ao/distributed')
    .argument('[args...]', 'its arguments, behind --')
    .requiredOption('--nproc <n>', 'processes on this machine', count)
    .option('--nnodes <n>', 'machines', count, 1)
    .option('--node-rank <n>', 'which of them this is', number(0, true), 0)
    .option('--master-addr <host>', 'where rank 0 is met (default: this machine)')
    .option('--master-port <port>', 'a free port there (default: any)', count)
    .action(async (script: string, args: readonly string[], options) =>
      (await import('./commands/launch.ts')).launch(script, args, options),
    );

  command(ao, 'doctor', 'what this machine can do, and why not more')
    .addOption(json())
    .action(async (options) => (await import('./commands/doctor.ts')).doctor(options));

  command(ao, 'demo', 'stories-7m as float, int8 and int4: size, perplexity, speed, then a story')
    .addOption(threads())
    .addOption(json())
    .action(async (options) => (await import('./commands/demo.ts')).demo(options));

  command(ao, 'completion', 'the script that makes a shell complete these commands')
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish']))
    .action(async (shell) => (await import('./commands/completion.ts')).completion(shell, ao));

  return ao;
}
