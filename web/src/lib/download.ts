/** Downloads a URL as the given media type. A plain link cannot set the `Accept` header. */
export async function saveAs(url: string, type: string, name: string) {
  const answer = await fetch(url, { headers: { accept: type } });
  if (!answer.ok) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
