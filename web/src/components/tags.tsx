// The tags that a user gives a model.

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
