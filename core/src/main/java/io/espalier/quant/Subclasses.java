package io.espalier.quant;

import io.espalier.nn.Module;
import io.espalier.quant.layer.LayerKinds;

import java.util.Map;

/** The layers of a model that are left in float because they are of a class of the user's. */
final class Subclasses {
    private Subclasses() {}

    /** The end of an error that finds nothing to do, where the first such layer is the reason. */
    static String leftAlone(Module model) {
        for (Map.Entry<String, Module> entry : model.namedModules().entrySet()) {
            Class<?> own = entry.getValue().getClass();
            Class<?> known = LayerKinds.extended(entry.getValue()).orElse(own);
            if (!known.equals(own)) {
                return " '"
                        + entry.getKey()
                        + "' is of a subclass of "
                        + known.getSimpleName()
                        + ", which may compute something else and is left as it is.";
            }
        }
        return "";
    }
}
