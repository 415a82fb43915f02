// Herd keeps the book, and sends it up when it has three entries.
export default function herd(event, skerry) {
  const book = [...(skerry.state.get("book") ?? []), event.data];
  if (book.length < 3) return skerry.state.set("book", book), undefined;
  skerry.state.delete("book");
  skerry.followup("dairy", book);
}
