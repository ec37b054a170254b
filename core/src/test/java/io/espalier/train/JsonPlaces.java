package io.espalier.train;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

import java.util.ArrayList;
import java.util.List;

/** The places of a JSON text, and what it is with another value at one of them. */
final class JsonPlaces {
    private static final JsonMapper JSON = new JsonMapper();

    private JsonPlaces() {}

    /** The JSON with another value at a place; without the place where there is no value. */
    static String changed(JsonNode whole, String place, String value) {
        JsonNode changed = whole.deepCopy();
        int slash = place.lastIndexOf('/');
        String name = place.substring(slash + 1);
        JsonNode parent = changed.at(place.substring(0, slash));
        if (parent instanceof ObjectNode object) {
            if (value.isEmpty()) {
                object.remove(name);
            } else {
                object.set(name, JSON.readTree(value));
            }
        } else if (parent instanceof ArrayNode array) {
            if (value.isEmpty()) {
                array.remove(Integer.parseInt(name));
            } else {
                array.set(Integer.parseInt(name), JSON.readTree(value));
            }
        }
        return changed.toString();
    }

    /** Each member of each object; of a list the first element, as the others are like it. */
    static List<String> in(JsonNode whole) {
        List<String> places = new ArrayList<>();
        places(whole, "", places);
        return places;
    }

    private static void places(JsonNode node, String path, List<String> places) {
        if (!path.isEmpty()) {
            places.add(path);
        }
        if (node instanceof ObjectNode object) {
            object.propertyNames()
                    .forEach(name -> places(object.get(name), path + "/" + name, places));
        } else if (node instanceof ArrayNode array) {
            array.valueStream().limit(1).forEach(first -> places(first, path + "/0", places));
        }
    }
}
