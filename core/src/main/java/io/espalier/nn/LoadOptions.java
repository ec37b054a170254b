package io.espalier.nn;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

/**
 * How a state may differ from the model that it is loaded into.
 *
 * @param strict whether each entry of the model must be in the state and the other way round
 * @param prefix what the names of the state begin with and those of the model do not
 * @param convertTypes whether floating-point numbers of other types are converted
 */
public record LoadOptions(boolean strict, String prefix, boolean convertTypes) {
    /** As {@link Module#load(java.nio.file.Path)} loads: the same names and types. */
    public static final LoadOptions DEFAULT = new LoadOptions(true, "", false);

    /**
     * With {@code false}, entries that the state lacks stay as they are and entries that the model
     * lacks are left out; the {@link LoadReport} names both. Shapes must fit all the same.
     */
    public LoadOptions strict(boolean value) {
        return new LoadOptions(value, prefix, convertTypes);
    }

    /**
     * The names of the state begin with this, such as {@code "module."} of a state that PyTorch's
     * {@code DataParallel} saved; those that do not are unexpected.
     *
     * @throws EspalierException if it is empty
     */
    public LoadOptions prefix(String value) {
        if (Needed.of(value, "the prefix").isEmpty()) {
            throw new EspalierException("A prefix must have a character; leave it out instead.");
        }
        return new LoadOptions(strict, value, convertTypes);
    }

    /**
     * With {@code true}, floating-point numbers of any type become those of the model where that
     * has 32- or 64-bit floats: a state in float16 or bfloat16 is widened.
     */
    public LoadOptions convertTypes(boolean value) {
        return new LoadOptions(strict, prefix, value);
    }
}
