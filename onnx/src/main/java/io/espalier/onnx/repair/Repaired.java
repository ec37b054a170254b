package io.espalier.onnx.repair;

import io.espalier.onnx.model.OnnxModel;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A repaired model, and what was done to it.
 *
 * @param model gives the same results as the one that it was made of
 * @param changes at how many places each pass changed something, by its name, in the order in which
 *     they ran; only passes that did
 */
public record Repaired(OnnxModel model, Map<String, Integer> changes) {
    /** Copies the map. */
    public Repaired {
        changes = Collections.unmodifiableMap(new LinkedHashMap<>(changes));
    }
}
