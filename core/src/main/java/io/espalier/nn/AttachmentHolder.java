package io.espalier.nn;

import org.jspecify.annotations.Nullable;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/** What other rooms note on one module. {@link ParameterHolder} adds its tensors. */
abstract sealed class AttachmentHolder permits ParameterHolder {
    /** By kind; replaced, never changed, so that copies may share it. */
    private Map<Class<? extends Attachment>, Optional<Attachment>> attachments = Map.of();

    /**
     * Says how this module and what is below it are to be quantized; {@code null} leaves them out.
     */
    public final void qconfig(@Nullable Recipe recipe) {
        attach(Recipe.class, recipe);
    }

    /** Whether {@link #qconfig(Recipe)} was called on this very module. */
    public final boolean hasQconfig() {
        return isAttached(Recipe.class);
    }

    /** What {@link #qconfig(Recipe)} said on this very module. */
    public final Optional<Recipe> qconfig() {
        return attachment(Recipe.class);
    }

    /**
     * Notes something of a kind on this very module, in place of what was noted of that kind
     * before. Copies and aliases keep it.
     *
     * @param attachment what is noted; {@code null} for that there is none, where a module above
     *     has one that whoever made the kind lets apply to all below
     */
    public final <A extends Attachment> void attach(Class<A> kind, @Nullable A attachment) {
        var all = new HashMap<>(attachments);
        all.put(kind, Optional.ofNullable(attachment));
        attachments = Map.copyOf(all);
    }

    /** Whether anything was noted of a kind, be it that there is none. */
    public final boolean isAttached(Class<? extends Attachment> kind) {
        return attachments.containsKey(kind);
    }

    /** What was noted of a kind on this very module. */
    public final <A extends Attachment> Optional<A> attachment(Class<A> kind) {
        return attachments.getOrDefault(kind, Optional.empty()).map(kind::cast);
    }

    /** Takes over what was noted on another very module, of all kinds, for taking its place. */
    public final void takeAttachments(Module other) {
        var all = new HashMap<>(attachments);
        all.putAll(((AttachmentHolder) other).attachments);
        attachments = Map.copyOf(all);
    }
}
