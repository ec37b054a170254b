package io.espalier.tensor;

import org.bytedeco.pytorch.IValue;

/**
 * An object of one of libtorch's own classes, such as weights packed for an engine. It is opaque
 * and never changes; {@link Operator}s make it and take it. The collector frees it.
 */
@Internal
public final class PackedObject {
    private final IValue value;
    private final String type;

    PackedObject(IValue value) {
        this.value = new IValue(value);
        this.value.retainReference();
        this.type = value.toObjectRef().name().getString();
    }

    /** The name of its class as schemas write it. */
    public String type() {
        return type;
    }

    IValue value() {
        return value;
    }

    @Override
    public String toString() {
        return type;
    }
}
