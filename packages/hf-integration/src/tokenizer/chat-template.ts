// renderChat(template, messages, values): a Hugging Face chat template (Jinja) applied to a conversation, as transformers does.
import { AoError } from '@ao/core';

/** Fields beside these go to the template as they are. */
export interface ChatMessage {
  /** 'system', 'user', 'assistant', 'tool', or what else the template knows. */
  readonly role: string;
  /** Parts where the template takes them: [{ type: 'text', text }]. */
  readonly content?: string | readonly Readonly<Record<string, unknown>>[] | null;
  /** What the assistant asks for: [{ type: 'function', function: { name, arguments } }]. */
  readonly tool_calls?: readonly Readonly<Record<string, unknown>>[];
  readonly [field: string]: unknown;
}

/** A function that the model may call: { type: 'function', function: { name, description, parameters: a JSON schema } }. */
export type ChatTool = Readonly<Record<string, unknown>>;

/** Templates by name; 'default' where there is one. */
export type ChatTemplates = Readonly<Record<string, string>>;

/** The template that `asked` names or is; else 'tool_use' where there are tools, else 'default'. */
export function chooseTemplate(templates: ChatTemplates, asked: string | undefined, tools: boolean): string {
  const names = Object.keys(templates);
  const found =
    asked === undefined
      ? ((tools ? templates['tool_use'] : undefined) ?? templates['default'])
      : (templates[asked] ?? asked);
  if (found !== undefined) return found;
  throw new AoError(
    'ERR_AO_CONFIG',
    names.length === 0
      ? 'this tokenizer has no chat template'
      : `none of the chat templates is the default: ${names.join(', ')}`,
    {
      fix:
        names.length === 0
          ? 'pass chatTemplate, or use a plain prompt: the model may not be a chat model'
          : 'pass the name of one as chatTemplate',
    },
  );
}

export async function renderChat(
  template: string,
  messages: readonly ChatMessage[],
  values: Readonly<Record<string, unknown>>,
): Promise<string> {
  const { Template } = await import('@huggingface/jinja');
  try {
    return new Template(template).render({ ...values, messages: messages.map((m) => ({ ...m })) });
  } catch (error) {
    throw new AoError('ERR_AO_CONFIG', `the chat template failed: ${(error as Error).message}`, {
      fix: 'check the order and roles of the messages',
    });
  }
}
