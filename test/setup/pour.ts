/** Hands over what a program writes, as it comes. */
export async function pour(
  from: ReadableStream<Uint8Array>,
  to: (text: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  for await (const bytes of from) to(decoder.decode(bytes, { stream: true }));
}
