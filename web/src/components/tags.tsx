// What a user calls a model beside its name.

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
