// renderChat(template, messages, values): a Hugging Face chat template (Jinja) applied to a conversation.
import { AoError } from '@ao/core';

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
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
