// A model's tags.

export function TagList({ tags }: { tags: string[] }) {
  return (
    <>
      {tags.map((tag) => (
        <span key={tag} class="badge plain">
          {tag}
        </span>
      ))}
    </>
  );
}
