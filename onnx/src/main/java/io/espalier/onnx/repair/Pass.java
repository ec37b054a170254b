package io.espalier.onnx.repair;

import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.repair.Rewrite.Outcome;

/**
 * One kind of repair, of a name. It finds most after those that stand before it in {@link
 * Repair#all()}.
 */
public final class Pass {
    /** From here on operators broadcast as they do now. */
    private static final long OLDEST_OPSET = 7;

    private static final long NEWEST_OPSET = 23;

    private final String name;
    private final String description;
    private final Rewrite rewrite;

    Pass(String name, String description, Rewrite rewrite) {
        this.name = name;
        this.description = description;
        this.rewrite = rewrite;
    }

    /** Its name, in words joined by hyphens. */
    public String name() {
        return name;
    }

    /** What it does, in a sentence. */
    public String description() {
        return description;
    }

    /** The model that it makes of this one, which stays as it is. */
    public OnnxModel run(OnnxModel model) {
        return rewrite(model.copy()).model();
    }

    /** Rewrites a model of its own, unless its operators are of versions that aren't known. */
    Outcome rewrite(OnnxModel model) {
        boolean known = model.opset() >= OLDEST_OPSET && model.opset() <= NEWEST_OPSET;
        return known ? rewrite.of(model) : new Outcome(model, 0);
    }

    @Override
    public String toString() {
        return name + ": " + description;
    }
}
