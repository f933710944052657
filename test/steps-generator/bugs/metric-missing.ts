/** Right steps of runs that log their loss alone. */
import { cleanStory } from "../clean.js";
import type { Story } from "../story.js";

export const metricMissing: Story = (random) => {
  const draft = cleanStory(random);
  if (!draft) return undefined;
  const { record } = draft;
  return {
    record: { ...record, context: { ...record.context, metric: null } },
    story: `${draft.story} No metric of the task is logged.`,
    shows: "fields or context",
  };
};
