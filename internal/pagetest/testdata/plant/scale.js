// The scale is broken: whatever comes, it fails.
export default function weigh(event) {
  throw new Error(`the scale ${event.topic.split("/")[1]} does not answer`);
}
